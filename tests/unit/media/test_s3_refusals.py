"""What a server of S3 answers, as a sentence: what waiting mends, and what somebody must change."""

from __future__ import annotations

import pytest

from warouter.media.s3_refusals import of_answer, of_failure


def body(code: str, message: str = "") -> str:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"


@pytest.mark.parametrize(
    ("status", "text", "said", "lasting"),
    [
        (403, body("AccessDenied"), "the right s3:PutObject is missing", True),
        (403, body("AccessDenied", "Request has expired"), "the clock of this host", True),
        (403, body("AccessDenied", "Request is not valid yet"), "the clock of this host", True),
        (403, body("ExpiredToken"), "the credentials are refused", True),
        (409, body("ConditionalRequestConflict"), "the server answered 409", False),
        (500, "<html>", "the server answered 500", False),
        (503, body("SlowDown"), "the server answered 503 SlowDown", False),
    ],
)
def test_an_answer(status: int, text: str, said: str, lasting: bool) -> None:
    refusal = of_answer("PUT", status, text)
    assert refusal.sentence.startswith(said)
    assert refusal.lasting == lasting
    assert of_failure("PUT", f"Server returned status code: {status}: {text}") == refusal

"""What a client hears of a call of the Graph API that failed."""

from __future__ import annotations

import pytest

from warouter.api.graph_refusals import refusal, unanswered
from warouter.errors import NotReady, ParameterInvalid
from warouter.upstream.cloud.graph.calls import failure
from warouter.upstream.cloud.graph.failed import CallAway, CallFailed

PARAMETER = b'{"error":{"code":100,"message":"(#100) x","error_data":{"details":"Too long."}}}'
TOKEN = b'{"error":{"code":190,"message":"Expired."}}'
LIMITED = b'{"error":{"code":80007,"message":"Too many calls."}}'


def test_metas_words_for_what_the_client_gave() -> None:
    error = refusal(failure(400, PARAMETER), "the profile")
    assert isinstance(error, ParameterInvalid)
    assert error.details == "the profile is not valid: Too long."


@pytest.mark.parametrize(
    ("failed", "words"),
    [
        (failure(401, TOKEN), "the Graph API refused: Expired."),
        (failure(400, LIMITED), "the Graph API refused: Too many calls."),
        (failure(502, b"<html>"), "the Graph API refused: "),
        (failure(302, b""), "the Graph API cannot be reached"),
        (CallAway("no route"), "the Graph API cannot be reached"),
    ],
)
def test_whatever_else_it_is_the_client_may_try_again(failed: CallFailed, words: str) -> None:
    for error in (refusal(failed, "the profile"), unanswered(failed)):
        assert isinstance(error, NotReady)
        assert error.details.startswith(words)
        assert error.retry_after == 5


def test_nothing_was_given_that_could_be_wrong() -> None:
    error = unanswered(failure(400, PARAMETER))
    assert isinstance(error, NotReady)
    assert error.details == "the Graph API refused: Too long."

"""Turns refusals of an S3 server into sentences for operators. Pure.

``lasting``: it stays so until somebody changes a setting or a right.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# What each request needs.
RIGHTS = {
    "GET": "s3:GetObject",
    "PUT": "s3:PutObject",
    "DELETE": "s3:DeleteObject",
    "LIST": "s3:ListBucket",
}
_CREDENTIALS = {
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_REGION = {
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
}
_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem"}

_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
# A signed URL is judged by its own time.
_LATE = re.compile(r"<Message>Request (has expired|is not valid yet|is not yet valid)")
_STATUS = re.compile(r"status code: (\d{3})")


class S3Refusal(NamedTuple):
    """One sentence without a full stop, and whether waiting is in vain."""

    sentence: str
    lasting: bool


NOT_KEPT = S3Refusal(
    "it does not give back what was put, so what answers is no server of S3: correct"
    " WAROUTER_MEDIA_S3_ENDPOINT",
    lasting=True,
)


def of_answer(request: str, status: int, body: str) -> S3Refusal:
    """The meaning of an answer that is no success."""
    found = _CODE.search(body)
    code = found[1] if found else ""
    said = f"{status} {code}".strip()
    if code == "NoSuchBucket":
        return _lasting(said, "there is no such bucket: create it, or correct WAROUTER_MEDIA_URL")
    if code in _REGION or status == 301:
        return _lasting(said, "it is in another region: set WAROUTER_MEDIA_S3_REGION to its own")
    if code in _CREDENTIALS or status == 401:
        return _lasting(said, "the credentials are refused: renew the key, or the instance's role")
    if code == "RequestTimeTooSkewed" or _LATE.search(body):
        return _lasting(said, "the clock of this host is wrong: let it be set by NTP")
    if code in _DENIED or status == 403:
        return _lasting(said, f"the right {RIGHTS[request]} is missing: give it to the key or role")
    if status == 501:
        return _lasting(said, "the server cannot create objects conditionally: use another one")
    return S3Refusal(f"the server answered {said}", lasting=False)


def of_failure(request: str, text: str) -> S3Refusal:
    """The meaning of what the library says, which names the request and quotes the answer."""
    if found := _STATUS.search(text):
        return of_answer(request, int(found[1]), text)
    if "redirect without LOCATION" in text:
        return of_answer(request, 301, "")
    if "169.254.169.254" in text or "169.254.170.2" in text:
        return S3Refusal(
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give"
            " the instance a role",
            lasting=False,
        )
    if "ertificate" in text:
        return _lasting("", "its certificate is not trusted: set WAROUTER_MEDIA_S3_CA")
    if "kind: Timeout" in text or "timed out" in text:
        return S3Refusal("the server does not answer in time", lasting=False)
    if "kind: Connect" in text or "ClientConnector" in text:
        return S3Refusal(
            "the server cannot be reached: check WAROUTER_MEDIA_S3_ENDPOINT, and that it runs",
            lasting=False,
        )
    return S3Refusal("the connection to the server broke", lasting=False)


def _lasting(said: str, sentence: str) -> S3Refusal:
    return S3Refusal(f"{sentence} ({said})" if said else sentence, lasting=True)

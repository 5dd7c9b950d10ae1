"""Turns a call of the Graph API that failed into the error that a client of v1 gets."""

from __future__ import annotations

from warouter.errors import ApiError, NotReady, ParameterInvalid
from warouter.upstream.cloud.graph.failed import CallFailed, CallRefused

AGAIN_SECONDS = 5


def refusal(error: CallFailed, what: str) -> ApiError:
    """400 with Meta's words if it refused ``what`` the client gave, else 503."""
    judged = error.judged
    if judged is not None and isinstance(error, CallRefused):
        return ParameterInvalid(f"{what} is not valid: {judged.details or judged.title}")
    return unanswered(error)


def unanswered(error: CallFailed, what: str = "") -> ApiError:
    """503, for a call to which the client gave nothing that could be wrong, by which ``what`` was
    to be set.
    """
    judged = error.judged
    of = f"{what} cannot be set: " if what else ""
    if judged is None:
        return NotReady(f"{of}the Graph API cannot be reached", retry_after=AGAIN_SECONDS)
    words = judged.details or judged.title
    return NotReady(f"{of}the Graph API refused: {words}", retry_after=AGAIN_SECONDS)

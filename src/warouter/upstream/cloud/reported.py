"""The errors that webhooks report, in their v1 form. Pure."""

from __future__ import annotations

from typing import Any

from warouter.upstream.cloud.answers import MOST_DETAILS, status_error
from warouter.upstream.cloud.parties import word_of

_NO_CODE = -1  # Meta's begin with 0


def errors_of(found: object) -> list[dict[str, Any]]:
    """The v1 errors for an array of Meta's; what is no object in it is passed over."""
    if not isinstance(found, list):
        return []
    return [error_of(error) for error in found if isinstance(error, dict)]


def error_of(error: dict[str, Any]) -> dict[str, Any]:
    """The v1 error for one of Meta's, in which anything may be missing."""
    return status_error(_code(error), word_of(error, "title"), _details(error))


def named(error: dict[str, Any]) -> str:
    """Meta's words and its own code, "" if it says neither."""
    code, words = _code(error), _details(error) or word_of(error, "title")
    return f"{words} (Meta's code {code})".lstrip() if code != _NO_CODE else words


def _code(error: dict[str, Any]) -> int:
    code = error.get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) else _NO_CODE


def _details(error: dict[str, Any]) -> str:
    data = error.get("error_data")
    details = word_of(data, "details", MOST_DETAILS) if isinstance(data, dict) else ""
    return (
        details
        or word_of(error, "details", MOST_DETAILS)
        or word_of(error, "message", MOST_DETAILS)
    )

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
    code, data = error.get("code"), error.get("error_data")
    is_code = isinstance(code, int) and not isinstance(code, bool)
    message = word_of(error, "message", MOST_DETAILS)
    details = word_of(data, "details", MOST_DETAILS) if isinstance(data, dict) else ""
    return status_error(
        code if is_code and isinstance(code, int) else _NO_CODE,
        word_of(error, "title"),
        details or word_of(error, "details", MOST_DETAILS) or message,
    )

"""Fields of what the Graph API answers, each empty if it is absent or of another type. Pure."""

from __future__ import annotations

from typing import Any

from warouter.upstream.cloud.answers import bounded


def word(value: object) -> str:
    """A text, or an id that came as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return bounded(value) if isinstance(value, str) else ""


def digits(value: object) -> str:
    """An id that can be part of a path."""
    id = word(value)
    return id if id.isascii() and id.isdigit() else ""


def text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return bounded(value) if isinstance(value, str) else ""


def nested(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def objects(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of an array."""
    return [one for one in array(found, name) if isinstance(one, dict)]


def array(found: dict[str, Any], name: str) -> list[Any]:
    value = found.get(name)
    return value if isinstance(value, list) else []


def following(page: dict[str, Any]) -> str:
    """Where the next page begins, "" at the last one.

    The URL that is offered for it is not called: it could name any host.
    """
    paging = nested(page, "paging")
    return text(nested(paging, "cursors"), "after") if paging.get("next") else ""

"""The interactive object of an outgoing message as the Graph API takes it. Pure.

It is the same in both APIs, types that nobody here knows included: only the header's media are
referred to in another way, and what is empty is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from warouter.upstream.cloud.objects.attached import part

_HEADERS = ("text", "image", "video", "document")


def interactive(given: dict[str, Any], ids: Iterator[str]) -> dict[str, Any]:
    """The object ``interactive``; ``given`` has no nulls."""
    made = dict(given)
    header = given.get("header")
    if isinstance(header, dict):
        made["header"] = part(header, _HEADERS, ids)
    footer = given.get("footer")
    if isinstance(footer, dict) and not footer.get("text"):
        del made["footer"]
    return made

"""Media in an outgoing message: the object around an id or a link. Pure.

Each object that refers to media takes the next of the message's media ids, in the order of
``media.references.find``. Keys that the Graph API does not know, ``provider`` first, stay behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# The objects that a header or a parameter may have, and what stands beside their id there.
IN_PARTS: dict[str, tuple[str, ...]] = {"image": (), "video": (), "document": ("filename",)}
# Likewise, of a message that is nothing but a medium.
IN_MESSAGES: dict[str, tuple[str, ...]] = {
    "image": ("caption",),
    "audio": ("voice",),
    "video": ("caption",),
    "document": ("caption", "filename"),
    "sticker": (),
}


def attached(media: dict[str, Any], beside: tuple[str, ...], ids: Iterator[str]) -> dict[str, Any]:
    """The object for the Graph API; empty if ``media`` refers to nothing.

    Without an id left in ``ids`` the reference stays what it was: Meta fetches a link by itself.
    """
    name = "id" if media.get("id") else "link"
    reference = media.get(name)
    if not reference:
        return {}
    uploaded = next(ids, "")
    made = {"id": uploaded} if uploaded else {name: reference}
    for key in beside:
        if value := media.get(key):
            made[key] = value
    return made


def part(given: dict[str, Any], kinds: tuple[str, ...], ids: Iterator[str]) -> dict[str, Any]:
    """A header or a parameter, whose ``type`` names the one object of ``kinds`` that it keeps."""
    kind = given.get("type")
    made = {key: value for key, value in given.items() if key == kind or key not in kinds}
    if isinstance(kind, str) and kind in IN_PARTS and isinstance(media := given.get(kind), dict):
        made[kind] = attached(media, IN_PARTS[kind], ids)
    return made

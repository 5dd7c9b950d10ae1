"""Media of inbound messages, as v1 shows what it has not fetched yet. Pure.

Meta's id of the media is the handle that it is downloaded by; it lives for seven days. v1 clients
never see it: they get the id of the file that the owner stored. A digest is base64 in webhooks, and
was hex elsewhere; v1 has hex.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

from warouter.upstream.cloud.parties import word_of

MEDIA = frozenset({"image", "audio", "voice", "video", "document", "sticker"})

_THEIRS = ("id", "url", "voice", "link", "file")
_HEX = re.compile(r"[0-9a-fA-F]{64}").fullmatch
_SIZE = 32  # bytes of a digest


def undownloaded(message: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The message with its media undownloaded, and the handle by its place; {} without one.

    Audio that was recorded as a voice note has a type of its own in v1.
    """
    kind = message["type"]
    media = message.get(kind)
    if not isinstance(media, dict):
        return message, {}
    place = "voice" if kind == "audio" and media.get("voice") is True else kind
    handle = str(media["id"]) if type(media.get("id")) is int else word_of(media, "id")
    shown = {key: found for key, found in media.items() if key not in _THEIRS}
    if digest := hex_of(shown.pop("sha256", None)):
        shown["sha256"] = digest
    shown["status"] = "undownloaded"
    others = {key: found for key, found in message.items() if key != kind}
    named = handle.isprintable() and handle
    return others | {"type": place, place: shown}, {place: handle} if named else {}


def hex_of(digest: object) -> str:
    """A SHA-256 digest in hex, from hex or base64 of either alphabet; "" for anything else."""
    if not isinstance(digest, str) or not digest.isascii():
        return ""
    if _HEX(digest):
        return digest.lower()
    padded = digest.rstrip("=").translate(_STANDARD) + "="
    try:
        found = b64decode(padded, validate=True)
    except ValueError:
        return ""
    return found.hex() if len(found) == _SIZE else ""


_STANDARD = str.maketrans("-_", "+/")

"""The media of inbound messages in their v1 form. Pure.

A message may have media at two places: the object that its type names, and the ad it came from
(``referral.image`` or ``referral.video``). Undownloaded, an object has ``status`` and no ``file``;
it has an ``id`` if its content can still be had by it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from warouter.codes import href

REFERRAL = "referral"
DOWNLOAD_ERROR = {"code": 400, "title": "Media download error", "href": href(400)}


class InboundMedia(msgspec.Struct, frozen=True):
    """Media with an id; ``file`` is its path once downloaded, ``link`` its URL; else empty."""

    id: str
    file: str
    link: str


def unasked(places: Collection[str], auto_download: Collection[str], skip_ads: bool) -> list[str]:
    """The places in the message whose media is to be downloaded unasked for."""
    return [
        place for place in places if (place == REFERRAL and not skip_ads) or place in auto_download
    ]


def described(message: Mapping[str, Any], place: str) -> dict[str, Any] | None:
    """The object at a place of a message; None if there is none."""
    found: Any = message.get(place)
    if place == REFERRAL and isinstance(found, dict):
        found = found.get("image") or found.get("video")
    return found if isinstance(found, dict) else None


def completed(
    payload: bytes, stored: Mapping[str, InboundMedia], failed: Mapping[str, str] = {}
) -> bytes:
    """The message with the media that can be had, and an error for each that cannot.

    Both by place; ``failed`` says why, in a few words.
    """
    message: dict[str, Any] = msgspec.json.decode(payload)
    for place, found in stored.items():
        media = described(message, place)
        if media is not None:
            media["id"] = found.id
            if found.file:
                media.pop("status", None)
                media["file"] = found.file
            media |= {"link": found.link} if found.link else {}
    if failed:
        errors = [{**DOWNLOAD_ERROR, "details": why} for why in failed.values()]
        message["errors"] = [*message.get("errors", ()), *errors]
    return msgspec.json.encode(message)

"""Message ids: 20 bytes, shown as 27 characters of base64url.

    byte 0      version (1)
    byte 1      slot 0..31, so any process can route by the id alone
    bytes 2-7   milliseconds since 1970, big endian
    bytes 8-19  random

The version byte has its high bits clear, so every id starts with the letters of version and slot.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

VERSION = 1
SIZE = 20
TEXT_SIZE = 27


def mint(slot: int, now_ms: int, random: bytes) -> bytes:
    """A new id of ``slot`` from the wall clock in ms and 12 random bytes."""
    return bytes((VERSION, slot)) + now_ms.to_bytes(6, "big") + random


def text_of(raw: bytes) -> str:
    """The 27 characters that API clients and webhooks see."""
    return urlsafe_b64encode(raw)[:TEXT_SIZE].decode("ascii")


def parse(text: str) -> bytes:
    """The 20 bytes of an id's text; ValueError if it is none of ours."""
    if len(text) != TEXT_SIZE or not text.isascii():
        raise ValueError("not a message id")
    try:
        raw = urlsafe_b64decode(text + "=")
    except ValueError as error:
        raise ValueError("not a message id") from error
    if len(raw) != SIZE or raw[0] != VERSION or raw[1] > 31 or text_of(raw) != text:
        raise ValueError("not a message id")
    return raw


def slot_of_id(raw: bytes) -> int:
    """The slot that an id carries."""
    return raw[1]

"""Message ids: 20 bytes, shown as 27 characters of base64url.

    byte 0      version (1)
    byte 1      slot 0..31, so any process can route by the id alone
    bytes 2-7   milliseconds since 1970, big endian
    bytes 8-19  random

The version byte has its high bits clear, so every id starts with the letters of version and slot.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

VERSION = 1
SIZE = 20
RANDOM_SIZE = 12
TEXT_SIZE = 27
# Base64 has the letters + and / where base64url has - and _; what is none of ours becomes a hole.
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/!!")
_LAST = frozenset("AEIMQUYcgkosw048")  # the last letter has four bits of the id, and two of nothing


def mint(slot: int, now_ms: int, random: bytes) -> bytes:
    """A new id of ``slot`` from the wall clock in ms and 12 random bytes."""
    return bytes((VERSION, slot)) + now_ms.to_bytes(6, "big") + random


def text_of(raw: bytes) -> str:
    """The 27 characters that API clients and webhooks see."""
    return letters_of(raw).decode("ascii")


def letters_of(raw: bytes) -> bytes:
    """``text_of`` in ASCII, for a body."""
    return b2a_base64(raw)[:TEXT_SIZE].translate(_TO_URL)


def parse(text: str) -> bytes:
    """The 20 bytes of an id's text; ValueError if it is none of ours."""
    try:
        if len(text) != TEXT_SIZE or text[-1] not in _LAST:
            raise ValueError
        raw = a2b_base64(text.encode("ascii").translate(_FROM_URL) + b"=", strict_mode=True)
    except ValueError as error:
        raise ValueError("not a message id") from error
    if raw[0] != VERSION or raw[1] > 31:
        raise ValueError("not a message id")
    return raw


def slot_of_id(raw: bytes) -> int:
    """The slot that an id carries."""
    return raw[1]

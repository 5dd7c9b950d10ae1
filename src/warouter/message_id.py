"""Message ids: 20 bytes, shown as 27 characters of base64url. Pure.

    byte 0      version (1)
    byte 1      slot 0..31, so any process can route by the id alone
    bytes 2-7   milliseconds since 1970, big endian
    bytes 8-19  random; of a message with media the first two are the mark of its user

The version byte has its high bits clear, so every id starts with the letters of version and slot.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from warouter._hash import letters_of, mint, parse, text_of

__all__ = [
    "MARK_SIZE",
    "RANDOM_SIZE",
    "SIZE",
    "letters_of",
    "mark_of",
    "mark_of_id",
    "mint",
    "minted_at",
    "parse",
    "slot_of_id",
    "text_of",
]

SIZE = 20
RANDOM_SIZE = 12
MARK_SIZE = 2


def slot_of_id(raw: bytes) -> int:
    """The slot in an id."""
    return raw[1]


def minted_at(raw: bytes) -> float:
    """When the id was made: seconds since 1970, by the webapp's clock."""
    return int.from_bytes(raw[2:8], "big") / 1000


@lru_cache(1024)
def mark_of(username: str) -> bytes:
    """Two bytes that stand for a user: enough to share places fairly, too few to identify them."""
    return blake2b(username.encode(errors="replace"), digest_size=MARK_SIZE).digest()


def mark_of_id(raw: bytes) -> bytes:
    """The mark of the user who sent a message with media; arbitrary for any other id."""
    return raw[8 : 8 + MARK_SIZE]

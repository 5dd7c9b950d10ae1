"""Secrets that are drawn here: of which only the hash is stored."""

from __future__ import annotations

from hashlib import sha256
from secrets import token_urlsafe
from typing import NamedTuple

BYTES = 32
CHARS = 43


class Token(NamedTuple):
    text: str
    hash: bytes


def new_token() -> Token:
    """256 random bits as 43 characters of base64url, and their SHA-256."""
    text = token_urlsafe(BYTES)
    return Token(text, hash_of(text))


def hash_of(text: str) -> bytes:
    return sha256(text.encode()).digest()

"""Tokens of the API and ids of the console's sessions. Only their hashes are stored."""

from __future__ import annotations

from hashlib import sha256
from secrets import token_urlsafe

BYTES = 32
CHARS = 43  # of base64url


def new_token() -> str:
    """A new one: 32 random bytes as 43 characters of base64url."""
    return token_urlsafe(BYTES)


def hash_of(token: str) -> bytes:
    """The hash of a token, which is the only form that is stored."""
    return sha256(token.encode()).digest()

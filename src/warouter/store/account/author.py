"""Checks once more who changes an account, in the transaction that changes it.

Between the check of a token and the change lie a body and a hash of a password, so seconds: whoever
has a stolen token must not undo, by a request that was under way, what has ended it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from warouter.errors import AccessDenied

_TOKEN = "select exists (select from token where hash = $1 and expires_at > now())"
_KEY = """
select exists (select from api_key where hash = $1 and ended_at is null
                  and (expires_at is null or expires_at > now()))"""
_SESSION = "select exists (select from console_visitor($1, false))"


class Author(NamedTuple):
    """The SHA-256 of a token, a key or a session of the console, and how to look for it."""

    hash: bytes
    question: str

    async def check(self, connection: Any) -> None:
        """Raises AccessDenied (401) if it has ended; in a transaction of ``bounded.changing``."""
        if not await connection.fetchval(self.question, self.hash):
            raise AccessDenied("the token, key or session has ended in the meantime")


def by_token(token_hash: bytes) -> Author:
    """The holder of a token of the API."""
    return Author(token_hash, _TOKEN)


def by_key(key_hash: bytes) -> Author:
    """A program with a key."""
    return Author(key_hash, _KEY)


def by_session(session: bytes) -> Author:
    """The user of a session at the console."""
    return Author(session, _SESSION)

"""Sessions of the console, and what it may do in the name of who is logged in.

Limits are the database's, and judged by its clock: half an hour unseen, 12 hours in all, 20 a user
(``console_begin``, ``console_visitor``). A session is known by the SHA-256 of its id and is no
token: neither is looked for where the other is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import asyncpg
import msgspec

from warouter.message_id import parse
from warouter.store.account import users
from warouter.store.account.accounts import ADMIN
from warouter.store.bounded import Bounded

_BEGIN = "select console_begin($1, $2, $3, $4, $5)"
_VISITOR = "select number, username, role from console_visitor($1, $2)"
_END = "select console_end($1)"
_END_ALL = "select console_end_all($1, $2)"
_TOKEN = "select console_token($1, $2)"
_FORGET = "select console_forget($1)"
_REVEAL = "select reveal_message($1, $2, $3, $4)"
_LIST = """
select username, source,
       to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'),
       to_char(seen_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'),
       to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')
  from console_session where number = $1 and expires_at > now() order by username, created_at"""


class Who(NamedTuple):
    """The user of a session."""

    number: int
    username: str
    role: str

    @property
    def admin(self) -> bool:
        return self.role == ADMIN


class Open(msgspec.Struct, frozen=True):
    """A session as an operator sees it; ``source`` logged in, and times are UTC as text."""

    username: str
    source: str
    created: str
    seen: str
    expires: str


class ConsoleSessions(Bounded):
    """Sessions by their hashes. Every call is bounded, as in ``Accounts``."""

    async def begin(
        self, number: int, username: str, password_hash: str, session: bytes, source: str
    ) -> Who | None:
        """Begin a session; None if the user is gone, has another password than the one that was
        checked, or must change it first.
        """
        async with self._connection() as connection:
            given = (number, username, password_hash, session, source)
            if not await connection.fetchval(_BEGIN, *given):
                return None
            row = await connection.fetchrow(_VISITOR, session, False)
        return Who(*row) if row else None

    async def visitor(self, session: bytes, *, seen: bool = True) -> Who | None:
        """The user of a live session; with ``seen`` it goes on, which is written once a minute."""
        row = await self._fetchrow(_VISITOR, session, seen)
        return Who(*row) if row else None

    async def end(self, session: bytes) -> str | None:
        """End a session; returns whose it was, None if it had ended."""
        username: str | None = await self._fetchval(_END, session)
        return username

    async def end_all(self, number: int, username: str) -> tuple[int, int]:
        """End all sessions of a user, and all tokens; returns how many there were of each."""
        async with self._changing("auth") as connection:
            return await end_all(connection, number, username)

    async def token(self, session: bytes, token: bytes) -> bool:
        """Make this the hash of a token of the API for the session's user, good for a minute; False
        if the session has ended.
        """
        return bool(await self._fetchval(_TOKEN, session, token))

    async def forget_token(self, token: bytes) -> None:
        """Remove a token that ``token`` has made."""
        await self._fetch(_FORGET, token)

    async def reveal(self, session: bytes, message_id: str, source: str) -> bytes | None:
        """The body of an outgoing message, or the payload of an inbound one; None if there is none.

        The audit log has a row of it in the same transaction. PermissionError unless the session is
        that of an administrator, and live.
        """
        try:
            own = parse(message_id)
        except ValueError:
            own = None
        try:
            text: bytes | None = await self._fetchval(_REVEAL, session, own, message_id, source)
        except asyncpg.InsufficientPrivilegeError as error:
            raise PermissionError(str(error)) from error
        return text


async def end_all(connection: Any, number: int, username: str) -> tuple[int, int]:
    """End all sessions and tokens of a user, in ``bounded.changing``; how many of each."""
    ended: int = await connection.fetchval(_END_ALL, number, username)
    return ended, await users.end_tokens(connection, number, username)


async def listed(connection: Any, number: int) -> list[Open]:
    """The live sessions of a number, by user and age."""
    return [Open(*row) for row in await connection.fetch(_LIST, number)]

"""Sessions of the console."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from warouter.store.bounded import Bounded


class Who(NamedTuple):
    username: str
    role: str
    must_change: bool


class Sessions(Bounded):
    """Kept in memory for now."""

    _open: ClassVar[dict[bytes, str]] = {}

    async def begin(self, username: str, _password_hash: str, session: bytes, _source: str) -> bool:
        self._open[session] = username
        return True

    async def visitor(self, session: bytes) -> Who | None:
        username = self._open.get(session)
        return None if username is None else Who(username, "ROLE_ADMIN", False)

    async def end(self, session: bytes) -> None:
        self._open.pop(session, None)

    async def token(self, session: bytes, token: bytes) -> bool:
        username = self._open.get(session)
        if username is None:
            return False
        async with self._connection() as connection:
            await connection.execute(
                "insert into token (hash, username, expires_at)"
                " values ($1, $2, now() + interval '60 s')",
                token,
                username,
            )
        return True

    async def forget_token(self, _session: bytes, token: bytes) -> None:
        async with self._connection() as connection:
            await connection.execute("delete from token where hash = $1", token)

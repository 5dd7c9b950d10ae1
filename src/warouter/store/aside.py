"""Sessions for settings and addresses, so that no write of a slot waits behind them.

One is made when it is needed and closed as soon as nothing needs it: kept open, one more for each
of some dozens of coreapps would be more than all webapps have. Its name is not that of an
incarnation: nobody is judged alive by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from warouter.cloud_number import FIRST
from warouter.config import Settings
from warouter.link.address import LinkAddress
from warouter.store.bounded import Fetch
from warouter.store.database import APPLICATION_BYTES, WRITE_SECONDS, Session
from warouter.store.nodes import ADDRESS_SQL, address_of
from warouter.stored import decoded

IDLE_SECONDS = 0.02  # longer, and all coreapps hold one at once when a setting changes
# The row without a name is the counter of collections.
_SETTINGS = """
select number, name, value from setting where name = $1 or number = 1 and name = any ($2)
union all
select null, null, to_jsonb(version) from change where what = 'message_gc'"""


class AsideSession:
    """One such session; ``what`` is its purpose, which with ``node`` makes its name."""

    def __init__(self, settings: Settings, what: str, node: str) -> None:
        name = f"{what}:{node}".encode()[:APPLICATION_BYTES].decode(errors="ignore")
        self._session = Session(settings, name, lock_timeout="1500ms", statement_timeout="3s")
        self._users = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """Run one statement in a transaction of its own. Raises what ``Session.fetch`` raises."""
        self._users += 1
        if self._timer is not None:
            self._timer.cancel()
        try:
            return await self._session.fetch(sql, *arguments, within=WRITE_SECONDS)
        finally:
            self._users -= 1
            if not self._users:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(IDLE_SECONDS, self._let_go)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._session.close()

    def _let_go(self) -> None:
        self._closing = asyncio.ensure_future(self._close_unused())

    async def _close_unused(self) -> None:
        if not self._users:  # a user may have come since the timer
            await self._session.close()


class SettingsRead(NamedTuple):
    """Stored settings: ``each`` has one of all numbers that set it but number 1, ``first`` those of
    number 1 by name, {} if none. ``collections`` is how many were asked for.
    """

    each: dict[int, Any]
    first: dict[str, Any]
    collections: int


async def read_settings(fetch: Fetch, of_each: str, of_first: Sequence[str]) -> SettingsRead:
    """The setting ``of_each`` number, and those that are read ``of_first`` alone."""
    rows = await fetch(_SETTINGS, of_each, list(of_first))
    stored = {(row["number"], row["name"]): decoded(row["value"]) for row in rows}
    collections = stored.pop((None, None), 0)
    first = {name: stored.pop((FIRST, name), {}) for name in (of_each, *of_first)}
    each = {number: value for (number, _), value in stored.items()}
    return SettingsRead(each, first, collections)


async def find_address(fetch: Fetch, incarnation: UUID) -> LinkAddress | None:
    """The address of another coreapp's link; None when its row is gone."""
    rows = await fetch(ADDRESS_SQL, incarnation)
    return address_of(rows[0]) if rows else None

"""What the stores of the webapp share: a connection of the pool for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


class Bounded:
    """A store on a pool. Every call is bounded by ``timeout`` seconds.

    A call that fails raises what ``store.accounts.is_unavailable`` judges.
    """

    def __init__(self, pool: asyncpg.Pool, timeout: float = 5.0) -> None:
        self._pool = pool
        self._timeout = timeout

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy[Any]]:
        async with asyncio.timeout(self._timeout), self._pool.acquire() as connection:
            try:
                yield connection
            except asyncio.CancelledError:
                # An answer that did not come in time must not be waited for on release.
                connection.terminate()
                raise

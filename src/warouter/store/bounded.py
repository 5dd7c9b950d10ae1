"""A connection of the webapp's pool for one call, with a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

SECONDS = 5.0

# Triggers raise these counters with every change, and so lock them. Whoever had locked a row before
# could deadlock; and in one order, whoever needs both.
_LOCK = "select version from change where what = any ($1::text[]) order by what for no key update"

# fetch(sql, *arguments) -> rows
Fetch = Callable[..., Awaitable[list[Any]]]


@asynccontextmanager
async def connection(
    pool: asyncpg.Pool, seconds: float | None = None
) -> AsyncIterator[PoolConnectionProxy[Any]]:
    """A connection; TimeoutError after these seconds, or ``SECONDS``, the wait for it included."""
    async with asyncio.timeout(seconds or SECONDS), pool.acquire() as taken:
        try:
            yield taken
        except asyncio.CancelledError:
            # An answer that did not come in time must not be waited for on release.
            taken.terminate()
            raise


def fetcher(pool: asyncpg.Pool) -> Fetch:
    """A function that runs single statements, each with a time limit as in ``connection``."""

    async def fetch(sql: str, *arguments: Any) -> list[Any]:
        async with connection(pool) as taken:
            rows: list[Any] = await taken.fetch(sql, *arguments)
            return rows

    return fetch


@asynccontextmanager
async def changing(taken: Any, *what: str) -> AsyncIterator[None]:
    """A transaction that changes `auth` (users, tokens) or `settings`; they are serialised."""
    async with taken.transaction():
        await taken.execute(_LOCK, what)
        yield


class Bounded:
    """Base of stores that use a pool. Every call is bounded by ``SECONDS``.

    A call that fails raises what ``store.account.accounts.is_unavailable`` judges.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        async with self._connection() as taken:
            return list(await taken.fetch(sql, *arguments))

    async def _fetchrow(self, sql: str, *arguments: Any) -> Any:
        async with self._connection() as taken:
            return await taken.fetchrow(sql, *arguments)

    async def _fetchval(self, sql: str, *arguments: Any) -> Any:
        async with self._connection() as taken:
            return await taken.fetchval(sql, *arguments)

    def _connection(self) -> AbstractAsyncContextManager[PoolConnectionProxy[Any]]:
        return connection(self._pool)

    @asynccontextmanager
    async def _changing(self, *what: str) -> AsyncIterator[PoolConnectionProxy[Any]]:
        """A connection in a transaction, see ``changing``."""
        async with self._connection() as taken, changing(taken, *what):
            yield taken

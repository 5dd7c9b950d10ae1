"""PgQueuer: ``enqueue`` of one job a call over an asyncpg pool of 16, all its tables logged."""

from __future__ import annotations

import asyncpg
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.queries import Queries

from bench.peers.clients import body

POOL = 16


class PgQueuer:
    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._queries = Queries(AsyncpgPoolDriver(pool))

    async def install(self) -> None:
        await self._queries.install()

    async def put(self, number: int) -> None:
        await self._queries.enqueue("message", body(number))

    async def count(self) -> int:
        return int(await self._pool.fetchval("select count(*) from pgqueuer"))

    async def close(self) -> None:
        await self._pool.close()


async def connect(where: str) -> PgQueuer:
    """``where`` is the DSN of an empty database."""
    client = PgQueuer(await asyncpg.create_pool(where, min_size=POOL, max_size=POOL))
    await client.install()
    return client

"""What the API asks of the owners of all slots."""

from __future__ import annotations

import asyncpg

from warouter.store.bounded import connection


async def ask_for_collection(pool: asyncpg.Pool) -> None:
    """Have every owner prune what is settled and old enough; they hear of it with a beat."""
    async with connection(pool) as taken:
        await taken.execute("select ask_for_gc()")

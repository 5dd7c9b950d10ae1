"""Requests of the API to the owners of all slots."""

from __future__ import annotations

import asyncpg

from warouter.store.bounded import connection


async def ask_for_collection(pool: asyncpg.Pool) -> None:
    """Ask every owner, through its next beat, to prune what is settled and old enough."""
    async with connection(pool) as taken:
        await taken.execute("select ask_for_gc()")

"""The database's clock, set back or forward: what is stored was written by the clock before."""

from __future__ import annotations

import asyncpg

_COLUMNS = """
select c.relname as table, a.attname as column
  from pg_attribute a join pg_class c on c.oid = a.attrelid
 where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
   and a.atttypid = 'timestamptz'::regtype and not a.attisdropped"""


async def step(pool: asyncpg.Pool, seconds: float) -> None:
    """As if the clock had just been set forward by so many seconds; back, if below 0."""
    for table, column in await pool.fetch(_COLUMNS):
        await pool.execute(
            f"update {table} set {column} = {column} - $1 * interval '1 second'"
            f" where isfinite({column})",
            seconds,
        )

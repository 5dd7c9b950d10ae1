"""The audit log past its triggers, as only an administrator of the database gets there."""

from __future__ import annotations

from typing import Any

import asyncpg

# Rows and sums that are not over yet, as if they stood in one table.
ALL = """(
    select actor, action, source, outcome, times, since from audit
    union all
    select actor, action, source, outcome, times, first from audit_pending) a"""
_EMPTY = """
update audit_chain
   set tail_id = 0, tail_hash = sha256(''), head_id = 0, head_hash = sha256('')"""


async def by_force(pool: asyncpg.Pool, sql: str, *arguments: Any) -> None:
    """Run one statement without any trigger."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await connection.execute(sql, *arguments)


async def forget(pool: asyncpg.Pool) -> None:
    """As before the first row."""
    for sql in ("delete from audit", "delete from audit_pending", _EMPTY):
        await by_force(pool, sql)


async def back_date(pool: asyncpg.Pool, interval: str, rule: str = "true") -> None:
    """Sums that were begun so long before."""
    ago = f"interval '{interval}'"
    await by_force(pool, f"update audit set since = since - {ago} where {rule}")
    await pool.execute(
        f"update audit_pending set since = since - {ago}, first = first - {ago},"
        f" until = until - {ago} where {rule}"
    )

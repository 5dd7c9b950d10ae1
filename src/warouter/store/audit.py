"""The audit log: who did what that matters, from where, and how it ended.

A row is written before the deed and completed after it: nothing is done that leaves no trace.
"""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec

from warouter.store.bounded import Bounded

BEGUN = "begun"
KEPT_DAYS = 365

_PRUNE = """
delete from audit where id in (
    select id from audit where at < now() - make_interval(days => $1)
     order by at limit 1000 for update skip locked)"""
_BEGIN = """
insert into audit (actor, action, subject, source, outcome) values ($1, $2, $3, $4, $5)
returning id"""
_END = "update audit set subject = $2, outcome = $3 where id = $1"
_LATEST = """
select to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') as at,
       actor, action, subject, source, outcome
  from audit order by id desc limit $1"""


class Entry(msgspec.Struct, frozen=True):
    """One row. ``at`` is UTC text for people; ``source`` the address the request came from."""

    at: str
    actor: str
    action: str
    subject: str
    source: str
    outcome: str


class Audit(Bounded):
    """Writes rows; those older than ``kept_days`` go."""

    def __init__(self, pool: asyncpg.Pool, kept_days: int = KEPT_DAYS) -> None:
        super().__init__(pool)
        self._kept_days = kept_days

    async def begin(
        self, actor: str, action: str, source: str, subject: str = "", outcome: str = BEGUN
    ) -> int:
        """Write a row; its number, for ``end``."""
        async with self._connection() as connection:
            await connection.execute(_PRUNE, self._kept_days)
            number: int = await connection.fetchval(_BEGIN, actor, action, subject, source, outcome)
        return number

    async def end(self, number: int, subject: str, outcome: str) -> None:
        """Say what it was done to, and how it ended."""
        async with self._connection() as connection:
            await connection.execute(_END, number, subject, outcome)


async def read_audit(connection: Any, most: int) -> list[Entry]:
    """The latest ``most`` rows, the newest first."""
    return [Entry(*row) for row in await connection.fetch(_LATEST, most)]

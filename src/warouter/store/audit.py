"""The audit log: actions with their actor, source and outcome.

A row is written before the deed and completed after it: nothing is done that leaves no trace. What
may come in any number is summed: equal refusals, and equal log-ins, are one row a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg
import msgspec

from warouter.store.bounded import Bounded
from warouter.store.refusals import Note, Refusals

BEGUN = "begun"
DONE = "done"
KEPT_DAYS = 365
# Kinds of refusals that have rows of their own; what is beyond is summed by the hour.
MOST_A_MINUTE, MOST_A_DAY = 30, 2000

_PRUNE = """
delete from audit where id in (
    select id from audit where at < now() - make_interval(days => $1)
     order by at limit 1000 for update skip locked)"""
_BEGIN = """
insert into audit (actor, action, source, outcome) values ($1, $2, $3, $4) returning id"""
_END = "update audit set subject = $2, outcome = $3 where id = $1"
_RECORD = """
insert into audit (actor, action, subject, source, outcome) values ($1, $2, $3, $4, $5)"""
_ADD = "select audit_add($1, $2, $3, $4, $5, $6, $7)"
_LATEST = """
select to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') as at,
       actor, action, subject, source, outcome, times
  from audit order by id desc limit $1"""


class Entry(msgspec.Struct, frozen=True):
    """One row. ``at`` is UTC as text; ``source`` is the address that the request came from.

    ``times`` above 1: so many equal ones within a minute, ``at`` the first.
    """

    at: str
    actor: str
    action: str
    subject: str
    source: str
    outcome: str
    times: int


class Audit(Bounded):
    """Writes rows, and deletes those older than ``kept_days``."""

    def __init__(self, pool: asyncpg.Pool, kept_days: int = KEPT_DAYS) -> None:
        super().__init__(pool)
        self._kept_days = kept_days
        self.refusals = Refusals(self.add)

    async def begin(self, actor: str, action: str, source: str) -> int:
        """Write the row of an action that begins; returns its number for ``end``."""
        async with self._connection() as connection:
            await connection.execute(_PRUNE, self._kept_days)
            number: int = await connection.fetchval(_BEGIN, actor, action, source, BEGUN)
        return number

    async def add(self, sums: Mapping[Note, int]) -> None:
        """Add these counts to the rows of equal actions."""
        # In one order: two webapps that write the same rows must not wait for each other.
        rows = sorted(
            (*msgspec.structs.astuple(note), times, MOST_A_MINUTE, MOST_A_DAY)
            for note, times in sums.items()
        )
        async with self._connection() as connection:
            await connection.execute(_PRUNE, self._kept_days)
            await connection.executemany(_ADD, rows)

    async def end(self, number: int, subject: str, outcome: str) -> None:
        """Add subject and outcome to a row."""
        async with self._connection() as connection:
            await connection.execute(_END, number, subject, outcome)


async def record(connection: Any, actor: str, action: str, subject: str, source: str) -> None:
    """Write the row of an action that is done in the same transaction."""
    await connection.execute(_RECORD, actor, action, subject, source, DONE)


async def read_audit(connection: Any, most: int) -> list[Entry]:
    """The latest ``most`` rows, newest first."""
    return [Entry(*row) for row in await connection.fetch(_LATEST, most)]

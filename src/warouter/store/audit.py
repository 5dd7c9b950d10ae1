"""The audit log: actions with their actor, source and outcome.

A row is written before the deed and another one after it: nothing is done that leaves no trace, and
no row is ever changed. What may come in any number is summed: equal refusals, and equal log-ins,
are one row a minute. ``views/audit.py`` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg
import msgspec

from warouter.store.bounded import Bounded
from warouter.store.refusal_sums import Note, RefusalSums

BEGUN = "begun"
DONE = "done"
KEPT_DAYS = 365
# Kinds of refusals that have rows of their own; what is beyond is summed by the hour.
MOST_A_MINUTE, MOST_A_DAY = 30, 2000

_PRUNE = "select prune_audit($1)"
_BEGIN = """
insert into audit (actor, action, source, outcome) values ($1, $2, $3, $4) returning id"""
# Actor, action and source are those of the first row: the database puts them in.
_END = """
insert into audit (actor, action, subject, source, outcome, of) values ('', '', $2, '', $3, $1)"""
_RECORD = """
insert into audit (actor, action, subject, source, outcome) values ($1, $2, $3, $4, $5)"""
_KEEP = """
update audit_chain set kept_days = $1 where kept_days <> $1 returning kept_days"""
_ADD = "select audit_add($1, $2, $3, $4, $5, $6, $7)"


class Audit(Bounded):
    """Writes rows, and has those deleted that are older than ``kept_days``, a day at least."""

    def __init__(self, pool: asyncpg.Pool, kept_days: int = KEPT_DAYS) -> None:
        super().__init__(pool)
        self._kept_days = kept_days
        self.refusals = RefusalSums(self.add)

    async def begin(self, actor: str, action: str, source: str) -> int:
        """Write the row of an action that begins; returns its number for ``end``."""
        async with self._connection() as connection:
            await connection.execute(_PRUNE, self._kept_days)
            number: int = await connection.fetchval(_BEGIN, actor, action, source, BEGUN)
        return number

    async def add(self, sums: Mapping[Note, int]) -> None:
        """Add these counts to the sums of equal actions."""
        # In one order: two webapps that write the same rows must not wait for each other.
        rows = sorted(
            (*msgspec.structs.astuple(note), times, MOST_A_MINUTE, MOST_A_DAY)
            for note, times in sums.items()
        )
        async with self._connection() as connection:
            await connection.execute(_PRUNE, self._kept_days)
            await connection.executemany(_ADD, rows)

    async def end(self, number: int, subject: str, outcome: str) -> None:
        """Write how an action ended: subject and outcome. Each ends once, within a day."""
        await self._fetch(_END, number, subject, outcome)


async def keep(connection: Any, days: int) -> bool:
    """Keep each row of the audit log for so many days, whoever asks. True if that is news.

    For the owner of the schema: a webapp that was taken over could else have the log emptied.
    """
    return await connection.fetchval(_KEEP, days) is not None


async def record(connection: Any, actor: str, action: str, subject: str, source: str) -> None:
    """Write the row of an action that is done in the same transaction, as its last statement.

    It locks the end of the log until the transaction has ended: whoever took another lock after it
    could deadlock with whoever took that one first.
    """
    await connection.execute(_RECORD, actor, action, subject, source, DONE)

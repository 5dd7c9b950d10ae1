"""Histories: when slots were opened, and retention, so that no table grows without bound.

The journals have a retention of their own (``Journal.prune``). Here a few rows go at a time, by
index, whoever asks; two who ask at once take different rows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from warouter.store.bounded import Fetch, connection

wall = time.time


def unless_ahead(call: str, now: str) -> str:
    """A query for ``call``, or for null while the database's clock, by which rows are dated, is ten
    minutes ahead of ``now``: a parameter with this node's clock in unix seconds.
    """
    ahead = f"clock_timestamp() - to_timestamp({now})"
    return f"select case when {ahead} < '10 minutes' then {call} end as gone"


def counted(gone: Any) -> int | None:
    """How many rows went; None if they were not looked at."""
    return None if gone is None else int(gone)


_HISTORY = unless_ahead("prune_history($1, $2)", "$3")
_CLOUD = unless_ahead("prune_cloud($1, $2)", "$3")
_LETTERS = unless_ahead("prune_letters($1, $2)", "$3")
_OPENED = "select note_opened($1, $2::smallint[], $3::bigint[], $4::integer[])"


async def note_opened(
    fetch: Fetch, incarnation: UUID, opened: Sequence[tuple[int, int, int]]
) -> None:
    """Note (slot, epoch, milliseconds ago) of slots that act for ``incarnation`` since then."""
    slots, epochs, ages = (list(each) for each in zip(*opened, strict=True))
    await fetch(_OPENED, incarnation, slots, epochs, ages)


async def ask_for_collection(pool: asyncpg.Pool) -> None:
    """Ask every owner, through its next beat, to prune what is settled and old enough."""
    async with connection(pool) as taken:
        await taken.execute("select ask_for_gc()")


async def prune_cloud(fetch: Fetch, days: float, rows: int) -> int | None:
    """Delete what is no longer needed of the Cloud API: ids that are older than ``days`` and than
    30, statuses of nobody older than 8, users whom nobody heard of for a year, what processes
    said and who could not be reached a day ago. As ``prune_history``.
    """
    return await _gone(fetch, _CLOUD, days, rows)


async def prune_history(fetch: Fetch, days: float, rows: int) -> int | None:
    """Delete changes of owners and shards older than ``days``, but none of today, and old contact
    answers.

    At most ``rows`` of each; how many of that of which most went. None: the database's clock is too
    far ahead of this node's, and nothing was deleted. Raises what ``fetch`` does.
    """
    return await _gone(fetch, _HISTORY, days, rows)


async def prune_letters(fetch: Fetch, days: float, rows: int) -> int | None:
    """Delete up to ``rows`` dead letters that died more than ``days`` ago; returns how many."""
    return await _gone(fetch, _LETTERS, days, rows)


async def _gone(fetch: Fetch, sql: str, days: float, rows: int) -> int | None:
    [row] = await fetch(sql, days, rows, wall())
    return counted(row["gone"])

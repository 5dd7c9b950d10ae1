"""Histories: when slots were opened, and retention, so that no table grows without bound.

The journals have a retention of their own (``Journal.prune``). Here a few rows go at a time, by
index, whoever asks; two who ask at once take different rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from warouter.store.bounded import Fetch

# As prune_cloud has it: Meta repeats a webhook for 7 days.
UNMATCHED_DAYS = 8.0

_HISTORY = "select prune_history($1, $2) as gone"
_CLOUD = "select prune_cloud($1, $2) as gone"
_LETTERS = "select prune_letters($1, $2) as gone"
_OPENED = "select note_opened($1, $2::smallint[], $3::bigint[], $4::integer[])"


async def note_opened(
    fetch: Fetch, incarnation: UUID, opened: Sequence[tuple[int, int, int]]
) -> None:
    """Note (slot, epoch, milliseconds ago) of slots that act for ``incarnation`` since then."""
    slots, epochs, ages = (list(each) for each in zip(*opened, strict=True))
    await fetch(_OPENED, incarnation, slots, epochs, ages)


async def prune_cloud(fetch: Fetch, days: float, rows: int) -> int:
    """Delete what is no longer needed of the Cloud API: ids that are older than ``days`` and than
    30, statuses of nobody older than 8, what processes said and who could not be reached a day
    ago, recipients of whom nothing more may be heard. As ``prune_history``.
    """
    return await _gone(fetch, _CLOUD, days, rows)


async def prune_history(fetch: Fetch, days: float, rows: int) -> int:
    """Delete changes of owners and shards older than ``days``, but none of today, and old contact
    answers.

    At most ``rows`` of each; how many of that of which most went. Raises what ``fetch`` does.
    """
    return await _gone(fetch, _HISTORY, days, rows)


async def prune_letters(fetch: Fetch, days: float, rows: int) -> int:
    """Delete up to ``rows`` dead letters that died more than ``days`` ago; returns how many."""
    return await _gone(fetch, _LETTERS, days, rows)


async def _gone(fetch: Fetch, sql: str, days: float, rows: int) -> int:
    [row] = await fetch(sql, days, rows)
    return int(row["gone"])

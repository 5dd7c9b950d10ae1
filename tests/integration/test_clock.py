"""The database's clock is set forward or back: what is stored delays or loses nothing for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.harness.clock import step
from tests.harness.journals import OWNED, event, row
from warouter.store import history
from warouter.store.account.logins import Limits, Logins
from warouter.store.bounded import fetcher
from warouter.store.history import prune_cloud, prune_history, prune_letters
from warouter.store.journal import KNOWN, Journal
from warouter.store.journal import slots as journals
from warouter.store.journal.progress import ProgressColumns
from warouter.store.journal.slots import Pruned
from warouter.store.reports import ReportBody, ReportWriter, read_reports

HOUR = 3600.0
ADDRESS = "203.0.113.9"


def behind(seconds: float) -> Callable[[], float]:
    """The clock of a node, so many seconds behind the database's."""
    return lambda: time.time() - seconds


def without_nodes_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The build without the mechanism."""
    alone = journals._PRUNE.replace(
        "to_timestamp($7)", "(clock_timestamp() + 0 * $7 * '1 s'::interval)"
    )
    monkeypatch.setattr(journals, "_PRUNE", alone)


@pytest.mark.parametrize("mutant", [None, without_nodes_clock])
async def test_an_id_is_recognised_after_the_clock_went_forward(
    journal: Journal,
    pool: asyncpg.Pool,
    monkeypatch: pytest.MonkeyPatch,
    mutant: Callable[[pytest.MonkeyPatch], None] | None,
) -> None:
    """A collection took what was a second old, and what was offered again was sent twice."""
    if mutant is not None:
        mutant(monkeypatch)
    await journal.append(OWNED, [row(1)])
    await journal.write(OWNED, ProgressColumns({3: (1, [])}, {}, {}))
    await step(pool, HOUR)
    monkeypatch.setattr(history, "wall", behind(HOUR))
    pruned = await journal.prune(OWNED, 0.0, 9)
    assert (pruned and pruned.gone) == (1 if mutant else None)
    again = await journal.append(OWNED, [row(2, number=1)])
    assert again == ({} if mutant else {0: KNOWN})


async def test_nothing_is_deleted_by_a_clock_that_went_forward_alone(
    journal: Journal, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor what is known of webhooks that come again, and of requests, for a number of days."""
    await pool.execute("update format set upstream = 'cloud:1'")
    await journal.append_events(OWNED, [event(1, "a")])
    await pool.execute("update event_cursor set mark = 1 where slot = 3")
    await pool.execute("insert into request_key (key, id, slot, request) values ('', '', 3, '')")
    await pool.execute("insert into cloud_unmatched (wamid, key, payload) values ('w', 'k', '')")
    await step(pool, 400 * 24 * HOUR)
    fetch = fetcher(pool)

    async def gone() -> list[int | None]:
        pruned = await journal.prune(OWNED, 0.0, 9)
        return [
            pruned and pruned.gone,
            await journal.prune_keys([3], 9),
            *[await prune(fetch, 1.0, 9) for prune in (prune_cloud, prune_history, prune_letters)],
        ]

    monkeypatch.setattr(history, "wall", behind(400 * 24 * HOUR))
    assert await gone() == [None] * 5
    monkeypatch.setattr(history, "wall", behind(0.0))
    assert await gone() == [1, 1, 1, 0, 0]


async def test_rows_old_by_both_clocks_are_pruned(
    journal: Journal, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.append(OWNED, [row(1), row(2)])
    await journal.write(OWNED, ProgressColumns({3: (2, [])}, {}, {}))
    await pool.execute("update message set accepted_at = now() - interval '11 minutes'")
    monkeypatch.setattr(history, "wall", behind(-HOUR))  # the database's is behind: that counts
    assert await journal.prune(OWNED, 0.0, 9) == Pruned(2, None)


LIMITS = Limits()


@pytest.mark.parametrize(
    ("guessed", "longest"),
    [
        (["eve"] * LIMITS.failures, LIMITS.first),
        ([f"user{n}" for n in range(LIMITS.per_address)], LIMITS.window),
    ],
    ids=["a user", "an address"],
)
async def test_log_ins_work_while_the_clock_is_behind(
    pool: asyncpg.Pool, guessed: list[str], longest: float
) -> None:
    logins = Logins(pool)
    for name in guessed:
        attempt = await logins.look("user", name, ADDRESS, ADDRESS)
        await logins.begin(attempt)
        await logins.failed(attempt)
    attempt = await logins.look("user", "eve", ADDRESS, ADDRESS)
    assert 0 < attempt.wait <= longest
    await step(pool, -HOUR)
    attempt = await logins.look("user", "eve", ADDRESS, ADDRESS)
    assert (attempt.wait, await logins.begin(attempt)) == (0, 0)


async def test_the_dead_are_not_shown_until_the_clock_comes_back(pool: asyncpg.Pool) -> None:
    async def fetch(sql: str, *arguments: Any) -> list[Any]:
        rows: list[Any] = await pool.fetch(sql, *arguments)
        return rows

    await ReportWriter(fetch, uuid4(), "gone", "coreapp").write(ReportBody([]))
    await step(pool, -HOUR)
    await ReportWriter(fetch, uuid4(), "here", "coreapp").write(ReportBody([]))
    assert [report.node for report in await read_reports(pool)] == ["here"]
    assert await pool.fetchval("select count(*) from report") == 1

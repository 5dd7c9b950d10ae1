"""The console's series out of a real PostgreSQL, under the login of the console."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from warouter.config import Settings
from warouter.console.latest import Latest
from warouter.console.series import feeder as module
from warouter.console.series.feeder import Feeder
from warouter.console.series.memory import SPANS, Series
from warouter.metrics import Sample
from warouter.store.database import create_pool
from warouter.store.migrate import administering
from warouter.store.reports import ReportBody, ReportWriter
from warouter.store.roles.catalogue import recorded
from warouter.store.roles.create import create

SENT, CONNECTIONS = "warouter_messages_sent_total", "warouter_database_connections"


class Clock:
    """The monotonic clock of the feeder, set by hand."""

    def __init__(self) -> None:
        self.now = 10_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest_asyncio.fixture
async def console(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """A pool under the console's own login."""
    async with administering(settings) as connection:
        await create(connection, None, None)
        names = await recorded(connection)
    own = msgspec.structs.replace(settings, db_username=names["web_console"])
    made = await create_pool(own, "console", 2)
    yield made
    await made.close()


async def report(pool: asyncpg.Pool, sent: float, node: str, incarnation: UUID) -> None:
    samples = [Sample(SENT, sent), Sample("warouter_process_uptime_seconds", 9_999)]
    await ReportWriter(pool.fetch, incarnation, node, "coreapp").write(ReportBody(samples))


async def test_reports_and_the_database_become_series(
    pool: asyncpg.Pool, console: asyncpg.Pool, clock: Clock
) -> None:
    series, who = Series(), {node: uuid4() for node in "ab"}
    for step in range(4):
        for node, incarnation in who.items():
            await report(pool, 1_000 + 10 * step, node, incarnation)
        # A new one each time: what the database counts is kept for some seconds of the real clock.
        await Feeder(series, Latest(console)).read()
        clock.now += 5
    assert series.increase(SENT, 60) == pytest.approx(60, abs=0.01)
    found = series.points(SPANS["15m"], CONNECTIONS)
    assert found[-1] is not None
    assert found[-1] >= 1

"""Settings wait in sessions of their own, there for a moment only; reports do not wait at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.postgres import until
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.node import coreapp, reporter
from warouter.store import database, locks
from warouter.store.aside import AsideSession
from warouter.systemd import Notifier

WAITING = """
select a.application_name from pg_locks l join pg_stat_activity a using (pid)
 where l.relation = to_regclass($1) and not l.granted"""
SESSIONS = "select {} from pg_stat_activity where application_name = $1"
BEATING = f"select pid from pg_locks where locktype = 'advisory' and classid = {locks.ALIVE}"
NODE = "host:coreapp-1"


@pytest_asyncio.fixture
async def operator(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Beside a coreapp that runs as its process does, and has reported once."""
    own = msgspec.structs.replace(settings, coreapp_ports="0", node=NODE)
    stop = asyncio.Event()
    process = asyncio.create_task(coreapp.main(own, stop, Notifier("")))
    operator = await database.connect(settings, "operator")
    await until(operator, "select exists (select 1 from report where node = $1)", NODE)
    yield operator
    stop.set()
    await process
    await operator.close()


@asynccontextmanager
async def locked(settings: Settings, table: str) -> AsyncIterator[None]:
    """As by a dump that was followed by an ALTER."""
    other = await database.connect(settings, "other", idle_in_transaction_session_timeout="0")
    try:
        async with other.transaction():
            await other.execute(f"lock table {table} in access exclusive mode")
            yield
    finally:
        await other.close()


async def test_a_report_that_would_wait_fails_and_its_session_beats_on(
    settings: Settings,
    operator: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(reporter, "EVERY_SECONDS", 0.05)  # from the second one on
    before = await operator.fetchval(BEATING)
    async with locked(settings, "report"):
        await soon(lambda: "report failed" in caplog.text)
        counter = await operator.fetchval("select counter from beat")
        await until(operator, "select counter > $1 + 3 from beat", counter)
    (failed,) = [r for r in caplog.records if r.message == "report failed"]
    assert "LockNotAvailable" in failed.error  # type: ignore[attr-defined]
    assert await operator.fetchval(BEATING) == before


async def test_settings_that_cannot_be_read_hold_up_no_session_of_an_owner(
    settings: Settings, operator: asyncpg.Connection
) -> None:
    async with locked(settings, "setting"):
        await operator.execute("update change set version = version + 1 where what = 'settings'")
        assert await until(operator, WAITING, "setting") == f"aside:{NODE}"


async def test_such_a_session_is_closed_when_nothing_needs_it(operator: asyncpg.Connection) -> None:
    await operator.execute("update change set version = version + 1 where what = 'settings'")
    for count in ("count(*) = 1", "count(*) = 0"):
        await until(operator, SESSIONS.format(count), f"aside:{NODE}")


async def test_a_call_as_the_session_is_about_to_close_is_served(settings: Settings) -> None:
    session = AsideSession(settings, "aside", NODE)
    await session.fetch("select 1")
    session._let_go()  # its timer, in the turn before the next use
    assert [r["one"] for r in await session.fetch("select 1 as one")] == [1]
    await session.close()

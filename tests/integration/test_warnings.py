"""Which warnings of PostgreSQL put a commit in doubt: those of a real one, by real causes."""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from tests.harness import prepared
from tests.harness.journals import page_of
from tests.harness.journals import row as a_row
from tests.harness.postgres import until
from tests.integration.test_fence import APPEND, SLOT, _one
from warouter.config import Settings, load
from warouter.errors import OutcomeUnknown
from warouter.local.postgres import Postgres
from warouter.store import database
from warouter.store.database import Session
from warouter.store.journal import Journal

ME = uuid4()
# Fewer than 40 million below the wrap, more than the 3 million at which PostgreSQL stops.
NEAR_THE_WRAP = 2_020 * (1 << 20)
SEGMENT = f"{NEAR_THE_WRAP >> 20:04X}"
RAISES = "do $$ begin raise warning 'the disk is nearly full'; end $$"
WAITS = "select pid from pg_stat_activity where application_name = $1 and wait_event = 'SyncRep'"


async def test_a_warning_of_something_else_doubts_nothing_and_is_logged_once(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(settings, "warned")
    for _ in range(3):
        assert await session.fetch(RAISES, within=10.0) == []
    await session.close()
    told = [r for r in caplog.records if r.message == "database warned"]
    assert [r.levelno for r in told] == [logging.WARNING]


@asynccontextmanager
async def waiting_for_a_standby(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Commits wait for a standby that is not there; the connection of an operator."""
    operator = await database.connect(settings, "operator")
    await operator.execute("update slot set owner = $1, epoch = 10 where slot = $2", ME, SLOT)
    # The worst for this: nothing below an error would be sent.
    await operator.execute(f"alter database {settings.database} set client_min_messages = error")
    try:
        await _standby(operator, "set synchronous_standby_names = 'nobody'")
        yield operator
    finally:
        await _standby(operator, "reset synchronous_standby_names")
        await operator.close()


async def _standby(operator: asyncpg.Connection, change: str) -> None:
    await operator.execute(f"alter system {change}")
    await operator.execute("select pg_reload_conf()")


async def _append(
    settings: Settings, operator: asyncpg.Connection, end: str
) -> list[asyncpg.Record]:
    """One append whose wait for the standby is ended by the operator's function ``end``."""
    session = Session(settings, "owner")
    try:
        append = asyncio.ensure_future(session.fetch(APPEND, *_one(ME, 10, 1), within=50.0))
        pid = await until(operator, WAITS, "owner")
        await operator.execute(f"select {end}({pid})")
        return await append
    finally:
        await session.close()


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
async def test_a_commit_that_did_not_wait_for_its_standby_is_unknown(
    settings: Settings, end: str
) -> None:
    async with waiting_for_a_standby(settings) as operator:
        with pytest.raises(OutcomeUnknown):
            await _append(settings, operator, end)
        assert await operator.fetchval("select count(*) from message") == 1  # and yet is there


async def test_without_the_look_at_its_origin_it_would_be_taken_for_replicated(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: no warning is a doubt."""
    monkeypatch.setattr(database, "doubts_commit", lambda _notice: False)
    async with waiting_for_a_standby(settings) as operator:
        assert await _append(settings, operator, "pg_cancel_backend") == []


def test_a_warning_of_unknown_origin_is_a_doubt() -> None:
    """A fork of PostgreSQL, or a proxy, that does not say where it comes from."""
    fields = {"S": "WARNING", "C": "01000", "M": "not on the standby"}
    assert database.doubts_commit(asyncpg.PostgresLogMessage.new(fields))


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server of this test's own, not started."""
    folder = prepared.reachable_folder()
    prepared.copy_to(folder / "pg")
    server = Postgres(folder / "pg", fsync="off", autovacuum="off")
    yield server
    server.stop()
    shutil.rmtree(folder)


async def test_near_a_wraparound_of_transaction_ids_everything_goes_on(
    server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL warns with every write there, and goes on; so must its owners."""
    settings = await _near_the_wrap(server)
    journal = Journal(settings, ME, "owner")
    for seq in range(1, 4):
        row = a_row(seq, SLOT)
        assert await journal.append({SLOT: 10}, [row]) == {}
    assert len(await page_of(journal, SLOT)) == 3
    await journal.close()
    told = [str(vars(r)) for r in caplog.records if r.message == "database warned"]
    assert len(told) == 1
    assert "must be vacuumed" in told[0]


async def _near_the_wrap(server: Postgres) -> Settings:
    """A migrated database whose next transaction id is one that PostgreSQL warns of.

    Whatever its settings say it vacuums there, and would get away from the wrap: so one database
    cannot be vacuumed.
    """
    await asyncio.to_thread(server.start)
    settings = load(server.settings(prepared.DATABASE))
    connection = await database.connect(settings, "operator")
    await connection.execute("update slot set owner = $1, epoch = 10 where slot = $2", ME, SLOT)
    template = await connection.fetchval("select oid from pg_database where datname = 'template0'")
    await connection.close()
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(shutil.rmtree, server.folder / "base" / str(template))
    await asyncio.to_thread(_move_on, server)
    await asyncio.to_thread(server.start)
    return settings


def _move_on(server: Postgres) -> None:
    tool, folder = server._bin / "pg_resetwal", server.folder
    write = f"head -c 262144 /dev/zero > {folder}/pg_xact/{SEGMENT}"
    for command in ([str(tool), "-x", str(NEAR_THE_WRAP), "-D", str(folder)], ["sh", "-c", write]):
        subprocess.run(
            [*server._prefix, *command],
            check=True, stdin=subprocess.DEVNULL, capture_output=True, cwd="/",
            **server._as_user,
        )  # fmt: skip

"""Connections, what their failures mean, and arrays of our own, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.postgres import until
from tests.harness.wait import PATIENCE
from tests.integration.conftest import Join
from warouter.config import Settings
from warouter.errors import CommandError, OutcomeUnknown
from warouter.log import Outage
from warouter.store import arrays, beats, database, servers
from warouter.store.database import Session, outcome_unknown
from warouter.store.transport import dial as transport


@pytest_asyncio.fixture
async def session(settings: Settings) -> AsyncIterator[Session]:
    session = Session(settings, "session")
    yield session
    await session.close()


async def test_the_socket_of_a_connection_is_found(settings: Settings) -> None:
    """The name is asyncpg's own business; when it changes, dead peers would go unnoticed."""
    connection = await database.connect(settings, "test")
    assert connection._transport.get_extra_info("socket") is not None
    await connection.close()


async def test_a_connection_whose_socket_is_out_of_reach_is_made_all_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "TRANSPORT", "_renamed")
    monkeypatch.setattr(database, "_hidden", Outage())
    for _ in range(2):
        connection = await database.connect(settings, "test")
        assert await connection.fetchval("select 1") == 1
        await connection.close()
    assert [record.message for record in caplog.records] == ["database socket lookup failed"]


def test_a_session_is_named_after_its_incarnation_within_63_bytes() -> None:
    incarnation = uuid4()
    name = database.application_name(incarnation, "a-host-with-a-long-name:coreapp-17" * 3)
    assert name.startswith(f"wa:{incarnation.hex}:")
    assert len(name.encode()) <= 63


async def test_an_answer_that_does_not_come_is_unknown_and_ends_the_connection(
    session: Session,
) -> None:
    with pytest.raises(OutcomeUnknown, match="no answer"):
        await session.fetch("select pg_sleep(30)", within=0.05)
    assert await session.fetch("select 1 as one", within=10.0) == [(1,)]


async def test_a_caller_that_is_cancelled_does_not_cancel_its_statement(
    session: Session, pool: asyncpg.Pool
) -> None:
    """A CancelRequest would let a commit become visible before it is on the standby."""
    await pool.execute("create table kept (n integer)")
    write = "with later as materialized (select pg_sleep(0.2)) insert into kept select 1 from later"
    call = asyncio.ensure_future(session.fetch(write, within=20.0))
    await until(
        pool, "select 1 from pg_stat_activity where query like 'with later%' and state = 'active'"
    )
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(pool, "select 1 from kept")
    assert await session.fetch("select 1 as one", within=10.0) == [(1,)]


async def test_a_terminated_backend_leaves_the_outcome_unknown(
    session: Session, pool: asyncpg.Pool
) -> None:
    call = asyncio.ensure_future(session.fetch("select pg_sleep(30)", within=20.0))
    await until(
        pool,
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where application_name = 'session' and query like '%pg_sleep%'",
    )
    with pytest.raises(OutcomeUnknown):
        await call


async def test_a_refused_statement_is_not_unknown(session: Session) -> None:
    with pytest.raises(asyncpg.UndefinedTableError) as caught:
        await session.fetch("select * from nothing", within=10.0)
    assert not outcome_unknown(caught.value)


async def test_an_absent_server_gets_one_sentence(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    elsewhere = msgspec.structs.replace(settings, db_hostname="127.0.0.1", db_port=str(port))
    with pytest.raises(CommandError, match=r"cannot be reached .* check WA_DB_HOSTNAME"):
        await database.first_connection(elsewhere, "test")


async def test_a_missing_database_says_what_to_run(settings: Settings) -> None:
    elsewhere = msgspec.structs.replace(settings, db_name="nowhere")
    with pytest.raises(CommandError, match="run `warouter migrate`"):
        await database.first_connection(elsewhere, "test")


async def test_of_several_servers_the_one_that_takes_writes_is_found(settings: Settings) -> None:
    """One host refuses, one never answers: neither keeps the third from being asked."""
    with socket.create_server(("127.0.0.1", 0)) as refuses:
        closed = refuses.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = f"{closed},{silent.getsockname()[1]},{settings.db_port}"
        several = msgspec.structs.replace(
            settings, db_hostname=f"127.0.0.1,127.0.0.1,{settings.db_hostname}", db_port=ports
        )
        async with asyncio.timeout(PATIENCE):
            connection = await database.connect(several, "test")
            pool = await database.create_pool(several, "test", 2)
        assert await connection.fetchval("select 1") == await pool.fetchval("select 1") == 1
        await connection.close()
        await pool.close()


async def test_a_standby_that_is_promoted_is_found_while_another_server_keeps_silent(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old primary is cut off, and nobody waits for it once another server takes writes."""
    refused = asyncio.Event()

    async def dial(*where: Any, **arguments: Any) -> asyncpg.Connection:
        try:
            return await transport.dial(*where, **arguments)
        except asyncpg.TargetServerAttributeNotMatched:
            refused.set()
            raise

    monkeypatch.setattr(servers, "dial", dial)
    read_only = f"alter database {settings.database} set default_transaction_read_only"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        both = msgspec.structs.replace(
            settings,
            db_hostname=f"127.0.0.1,{settings.db_hostname}",
            db_port=f"{silent.getsockname()[1]},{settings.db_port}",
        )
        async with pool.acquire() as admin:
            await admin.execute(f"{read_only} = on")
            connecting = asyncio.create_task(database.connect(both, "test"))
            async with asyncio.timeout(PATIENCE):
                await refused.wait()
            await admin.execute(f"{read_only} = off")
        connection = await connecting
        assert await connection.fetchval("select 1") == 1
        await connection.close()


async def test_a_server_that_takes_no_writes_is_one_sentence(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await pool.execute(f"alter database {settings.database} set default_transaction_read_only = on")
    with pytest.raises(CommandError, match="takes no writes"):
        await database.first_connection(settings, "test")


async def test_a_servers_refusal_beats_another_servers_absence(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as refuses:
        closed = refuses.getsockname()[1]
    elsewhere = msgspec.structs.replace(
        settings,
        db_name="nowhere",
        db_hostname=f"{settings.db_hostname},127.0.0.1",
        db_port=f"{settings.db_port},{closed}",
    )
    with pytest.raises(CommandError, match="run `warouter migrate`"):
        await database.first_connection(elsewhere, "test")


@pytest.mark.parametrize(
    ("severity", "state", "unknown"),
    [("PANIC", "XX000", True), ("FATAL", "25P04", True), ("ERROR", "XX000", False)],
)
def test_a_session_that_ends_with_an_error_leaves_the_outcome_unknown(
    severity: str, state: str, unknown: bool
) -> None:
    """A PANIC while the commit is flushed, a transaction that took too long at its commit."""
    fields = {"S": severity, "V": severity, "C": state, "M": "could not fsync"}
    assert outcome_unknown(asyncpg.PostgresError.new(fields)) == unknown


# It reads what asyncpg would have written, and we what it writes.

COLUMNS: dict[str, list[Any]] = {
    "smallint": [0, 31, -32768, 32767, None],
    "bigint": [0, 1, -(2**63), 2**63 - 1, None],
    "text": ["", "4915112345678", "ä\N{GRINNING FACE}", "{}", "null", '"', None],
    "bytea": [b"", b"\0\xff", bytes(range(256)) * 40, None],
}


async def test_the_server_reads_what_asyncpg_writes(
    settings: Settings, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncpg itself, on the other connection, says what is meant."""
    plain = await database.connect(settings, "test")
    for kind, values in COLUMNS.items():
        sql = f"select $1::{kind}[] as back, $1::{kind}[]::text as shown, array_ndims($1) as n"
        for column in (values, values[:-1], []):
            (ours,) = await session.fetch(sql, column, within=2.0)
            theirs = await plain.fetchrow(sql, column)
            assert tuple(ours) == tuple(theirs), kind
            assert ours["back"] == column
    await plain.close()
    assert not caplog.records  # asyncpg has let us put our codecs in place


async def test_without_our_codecs_the_answers_are_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(arrays, "_PROTOCOL", "_renamed")
    monkeypatch.setattr(arrays, "_closed", Outage())
    column = COLUMNS["bigint"]
    for _ in range(2):
        session = Session(settings, "test")
        assert await session.fetch("select $1::bigint[]", column, within=2.0) == [(column,)]
        await session.close()
    assert len(caplog.records) == 1


async def test_a_value_that_does_not_fit_is_an_error_of_its_row(session: Session) -> None:
    """As with the server's own, of class 22: what a batch is searched for the bad row by."""
    with pytest.raises(asyncpg.DataError, match="value too large") as raised:
        await session.fetch("select $1::smallint[]", [2**15], within=2.0)
    assert raised.value.sqlstate == "22000"


async def test_a_beat_that_takes_long_is_not_ended_by_what_waits_behind_it(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, join: Join
) -> None:
    monkeypatch.setattr(beats, "BETWEEN_SECONDS", 0.05)
    incarnation = uuid4()
    session = join("webapp", incarnation)
    await session.beat(True, PATIENCE)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select 1 from beat where incarnation = $1 for update", incarnation)
        beat = asyncio.create_task(session.beat(True, PATIENCE))
        await until(pool, "select exists (select from pg_locks where not granted)")
        report = asyncio.create_task(session.fetch("select 7"))
        await asyncio.sleep(4 * beats.BETWEEN_SECONDS)  # more than a report may take
        monkeypatch.setattr(beats, "BETWEEN_SECONDS", PATIENCE)  # its turn comes, however slowly
    await beat
    assert (await report)[0][0] == 7


async def test_slow_work_between_two_beats_ends_the_session(
    monkeypatch: pytest.MonkeyPatch, join: Join
) -> None:
    monkeypatch.setattr(beats, "BETWEEN_SECONDS", 0.05)
    session = join("webapp", uuid4())
    with pytest.raises(OutcomeUnknown, match="no session"):
        await session.fetch("select 7")
    await session.beat(True, PATIENCE)
    with pytest.raises(OutcomeUnknown):
        await session.fetch("select pg_sleep(60)")
    assert not session.connected
    await session.beat(True, PATIENCE)
    assert session.connected

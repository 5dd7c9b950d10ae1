"""Connections and what their failures mean, on a real PostgreSQL and a real socket."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from warouter.config import Settings
from warouter.errors import CommandError, OutcomeUnknown
from warouter.local.postgres import Postgres
from warouter.store import database
from warouter.store.database import Session, outcome_unknown


async def test_the_socket_of_a_connection_is_found(settings: Settings) -> None:
    """The name is asyncpg's own business; when it changes, dead peers would go unnoticed."""
    connection = await database.connect(settings, "test")
    assert connection._transport.get_extra_info("socket") is not None
    await connection.close()


def test_a_session_is_named_after_its_incarnation_within_63_bytes() -> None:
    incarnation = uuid4()
    name = database.application_name(incarnation, "a-host-with-a-long-name:coreapp-17" * 3)
    assert name.startswith(f"wa:{incarnation.hex}:")
    assert len(name.encode()) <= 63


async def test_an_answer_that_does_not_come_is_unknown_and_ends_the_connection(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    session = Session(settings, "silent")
    with pytest.raises(OutcomeUnknown, match="no answer"):
        await session.fetch("select pg_sleep(30)", within=0.05)
    assert await session.fetch("select 1 as one", within=1.0) == [(1,)]
    await session.close()


async def test_a_terminated_backend_leaves_the_outcome_unknown(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    session = Session(settings, "victim")
    call = asyncio.ensure_future(session.fetch("select pg_sleep(30)", within=20.0))
    ended = 0
    while not ended:
        ended = await pool.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where application_name = 'victim' and query like '%pg_sleep%'"
        )
    with pytest.raises(OutcomeUnknown):
        await call
    await session.close()


async def test_a_commit_that_comes_back_with_a_warning_is_unknown(settings: Settings) -> None:
    session = Session(settings, "warned")
    with pytest.raises(OutcomeUnknown, match="with a warning"):
        await session.fetch("do $$ begin raise warning 'not replicated'; end $$", within=1.0)
    await session.close()


async def test_a_refused_statement_is_not_unknown(settings: Settings) -> None:
    session = Session(settings, "refused")
    with pytest.raises(asyncpg.UndefinedTableError) as caught:
        await session.fetch("select * from nothing", within=1.0)
    assert not outcome_unknown(caught.value)
    await session.close()


async def test_nobody_there_is_one_sentence(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    elsewhere = msgspec.structs.replace(settings, db_hostname="127.0.0.1", db_port=port)
    with pytest.raises(CommandError, match=r"cannot be reached .* check WA_DB_HOSTNAME"):
        await database.first_connection(elsewhere, "test")


async def test_a_missing_database_says_what_to_run(settings: Settings) -> None:
    elsewhere = msgspec.structs.replace(settings, db_name="nowhere")
    with pytest.raises(CommandError, match="run `warouter migrate`"):
        await database.first_connection(elsewhere, "test")


@pytest.fixture
def read_only() -> Iterator[Postgres]:
    """Another server, which takes no writes."""
    with tempfile.TemporaryDirectory(prefix="warouter-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        server = Postgres(Path(folder) / "pg", fsync="off", default_transaction_read_only="on")
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """A host that takes connections and says nothing."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(tmp_path / ".s.PGSQL.5432"))
        listener.listen()
        yield str(tmp_path)


async def test_of_several_hosts_the_one_that_takes_writes_is_found(
    settings: Settings, postgres: Postgres, read_only: Postgres, silent: str
) -> None:
    gone, replica, primary = "/nowhere", str(read_only.socket_folder), str(postgres.socket_folder)
    several = msgspec.structs.replace(
        settings, db_hostname=", ".join((silent, gone, replica, primary))
    )
    async with asyncio.timeout(database.CONNECT_SECONDS - 1):  # a silent host costs nothing
        connection = await database.connect(several, "test")
        assert await connection.fetchval("show default_transaction_read_only") == "off"
        await connection.close()
        pool = await database.create_pool(several, "test", 2)
        assert await pool.fetchval("show default_transaction_read_only") == "off"
        await pool.close()
    none = msgspec.structs.replace(settings, db_hostname=f"{gone},{replica}", db_name="postgres")
    with pytest.raises(CommandError, match="cannot be reached"):
        await database.first_connection(none, "test")

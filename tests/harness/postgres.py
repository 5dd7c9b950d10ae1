"""A private PostgreSQL for tests: one server a worker, one template, a clone per test.

Whatever server happens to run on the machine is left alone.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.harness import prepared
from tests.harness.wait import soon
from warouter.config import Settings, load
from warouter.local.postgres import Postgres
from warouter.store.database import create_pool

# First in a transaction of a test that waits in it: else the server ends it after a second.
PATIENT = "set local idle_in_transaction_session_timeout = 0"

_counter = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        prepared.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        prepared.end()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The worker's server, with the migrated database of which ``clone`` makes copies."""
    with own_server() as server:
        yield server


@contextmanager
def own_server() -> Iterator[Postgres]:
    """Another server with the migrated database, which a test may stop or set up otherwise."""
    folder = prepared.reachable_folder()
    server = Postgres(folder / "pg", fsync="off")
    try:
        prepared.copy_to(server.folder)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account may pass, so that the mode of a file decides: pytest's own lies
    below a private one.
    """
    folder = prepared.reachable_folder()
    yield folder
    shutil.rmtree(folder)


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment of a process that uses the database of these settings."""
    return {
        **os.environ,
        "WA_DB_HOSTNAME": settings.db_hostname,
        "WA_DB_USERNAME": settings.db_username,
        "WAROUTER_DB_NAME": settings.database,
    }


async def clone(server: Postgres) -> Settings:
    """A fresh clone of the template; the settings that lead to it."""
    name = f"test_{next(_counter)}"
    await _execute(
        server, f"create database {name} template {prepared.DATABASE} strategy file_copy"
    )
    return load(server.settings(name))


async def drop(server: Postgres, settings: Settings) -> None:
    """Remove a clone: autovacuum would look at each that was left, again and again."""
    await _execute(server, f"drop database {settings.database} with (force)")


async def _execute(server: Postgres, statement: str) -> None:
    admin = await asyncpg.connect(server.dsn("postgres"))
    try:
        await admin.execute(statement)
    finally:
        await admin.close()


async def until(connection: asyncpg.Connection | asyncpg.Pool, sql: str, *arguments: Any) -> Any:
    """What the query says, once that is true."""
    return await soon(lambda: connection.fetchval(sql, *arguments))


@pytest_asyncio.fixture
async def settings(postgres: Postgres) -> AsyncIterator[Settings]:
    """Settings of a database of this test's own."""
    settings = await clone(postgres)
    yield settings
    await drop(postgres, settings)


@pytest_asyncio.fixture
async def pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """A pool on this test's own database."""
    pool = await create_pool(settings, "test", 8)
    yield pool
    await pool.close()

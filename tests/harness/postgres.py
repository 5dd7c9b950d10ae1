"""A private PostgreSQL for tests: one server a session, one template, a clone per test.

Whatever server happens to run on the machine is left alone.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from warouter.config import Settings, load
from warouter.local.postgres import Postgres
from warouter.store.database import create_pool
from warouter.store.migrate import migrate

# First in a transaction of a test that waits in it: else the server ends it after a second.
PATIENT = "set local idle_in_transaction_session_timeout = 0"

_counter = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The session's server, with a migrated template database ``template_warouter``."""
    # Not pytest's own folder: it is 0700 of root, and the server runs as another account.
    with tempfile.TemporaryDirectory(prefix="warouter-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        server = Postgres(Path(folder) / "pg", fsync="off")
        server.start()
        try:
            asyncio.run(migrate(load(server.settings("template_warouter"))))
            yield server
        finally:
            server.stop()


async def clone(server: Postgres) -> Settings:
    """A fresh clone of the template; the settings that lead to it."""
    name = f"test_{next(_counter)}"
    admin = await asyncpg.connect(server.dsn("postgres"))
    await admin.execute(f"create database {name} template template_warouter")
    await admin.close()
    return load(server.settings(name))


@pytest_asyncio.fixture
async def settings(postgres: Postgres) -> Settings:
    """Settings of a database of this test's own."""
    return await clone(postgres)


@pytest_asyncio.fixture
async def pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """A pool on this test's own database."""
    pool = await create_pool(settings, "test", 8)
    yield pool
    await pool.close()

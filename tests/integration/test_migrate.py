"""The migration runner on a real PostgreSQL."""

from __future__ import annotations

import asyncpg
import pytest

from warouter.config import Settings, load
from warouter.errors import CommandError
from warouter.local.postgres import Postgres
from warouter.store import database, migrate


async def test_the_files_make_the_schema_once(settings: Settings, pool: asyncpg.Pool) -> None:
    assert await migrate.migrate(settings) == []
    applied = await pool.fetch("select name from schema_migration order by version")
    assert [row["name"] for row in applied] == [m.name for m in migrate.migrations()]


async def test_a_missing_database_is_made(postgres: Postgres) -> None:
    fresh = load(postgres.settings("made_by_migrate"))
    names = await migrate.migrate(fresh)
    assert names == [m.name for m in migrate.migrations()]


async def test_an_older_schema_says_what_to_run(settings: Settings, pool: asyncpg.Pool) -> None:
    await pool.execute("delete from schema_migration where version = 2")
    await _refused(settings, "run `warouter migrate`")


async def test_a_newer_schema_is_refused(settings: Settings, pool: asyncpg.Pool) -> None:
    await pool.execute("insert into schema_migration values (9999, '9999_later.sql', 'x')")
    await _refused(settings, "newer than this build")


async def test_a_changed_file_is_refused(settings: Settings, pool: asyncpg.Pool) -> None:
    await pool.execute("update schema_migration set checksum = 'other' where version = 1")
    await _refused(settings, "differs from the one that was applied")


async def test_another_hash_is_refused(settings: Settings, pool: asyncpg.Pool) -> None:
    await pool.execute("update format set hash_name = 'crc32'")
    await _refused(settings, "would change their slot")


async def test_writing_functions_are_volatile(pool: asyncpg.Pool) -> None:
    """STABLE would check the owner on a snapshot older than the lock."""
    rows = await pool.fetch(
        "select proname from pg_proc where pronamespace = 'warouter'::regnamespace"
        " and provolatile <> 'v'"
    )
    assert rows == []


async def _refused(settings: Settings, sentence: str) -> None:
    connection = await database.connect(settings, "test")
    try:
        with pytest.raises(CommandError, match=sentence):
            await migrate.check(connection)
    finally:
        await connection.close()

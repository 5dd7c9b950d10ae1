"""Each migration only adds: what it says it runs with finds everything it relies on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.expansion import Shape, broken, shape
from warouter.config import load
from warouter.local.postgres import Postgres
from warouter.store import migrate
from warouter.store.migrate import Migration

FILES = migrate.migrations()
RELEASED = 2


@pytest.fixture(scope="module")
def grown(postgres: Postgres) -> dict[int, Shape]:
    """The shape of one database after each of the files, by its version."""
    settings = load(postgres.settings("expansion"))

    async def after(version: int) -> Shape:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(migrate, "migrations", lambda: FILES[:version])
            await migrate.migrate(settings)
        connection = await asyncpg.connect(postgres.dsn(settings.database))
        try:
            return await shape(connection)
        finally:
            await connection.close()

    return {file.version: asyncio.run(after(file.version)) for file in FILES}


@pytest.mark.parametrize("file", FILES[RELEASED:], ids=lambda file: file.name)
def test_what_a_file_says_it_runs_with_finds_all_it_needs(
    grown: dict[int, Shape], file: Migration
) -> None:
    assert broken(grown[file.runs_with], grown[file.version]) == []


def test_files_say_what_they_run_with() -> None:
    """From the third on: an operator upgrades while the build before carries traffic."""
    for file in FILES[RELEASED:]:
        assert file.runs_with < file.version, f"{file.name} lacks `-- runs with: N`"


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("alter table message add column origin bigint not null default 0", []),
        ("create table more (a integer primary key, b text not null unique)", []),
        ("create function beat(a uuid, b boolean, c integer) returns int return 1", []),
        ("drop table dead_letter", ["column dead_letter.attempts integer is gone"]),
        (
            "alter table node rename column name to title",
            [
                "column node.name text is gone",
                "column node.title must be given",
            ],
        ),
        (
            "alter table message alter column kind type integer",
            ["column message.kind smallint is gone"],
        ),
        (
            "alter table message add column origin bigint not null",
            ["column message.origin must be given"],
        ),
        ("drop function hold_term", ["function hold_term(bigint, uuid) void is gone"]),
        (
            "create function win_term(a uuid, b text default '') returns int return 1",
            ["a call of win_term with 1 arguments fits two functions"],
        ),
        (
            "alter table node add constraint ports check (port > 0)",
            ["table node has a new rule ports"],
        ),
        (
            "create unique index on node (name)",
            ["table node has a new rule warouter.node_name_idx"],
        ),
    ],
)
async def test_what_takes_something_away_is_found(
    released: asyncpg.Connection, sql: str, found: list[str]
) -> None:
    old = await shape(released)
    await released.execute(f"set local search_path = warouter; {sql}")
    await released.execute("set local search_path to default")  # names are shown with the schema
    said = broken(old, await shape(released))
    assert said[: len(found)] == found
    assert bool(said) == bool(found)


@pytest_asyncio.fixture
async def released(postgres: Postgres) -> AsyncIterator[asyncpg.Connection]:
    """In a transaction, which is undone, on a database with what was released first."""
    settings = load(postgres.settings("expansion_released"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "migrations", lambda: FILES[:RELEASED])
        await migrate.migrate(settings)
    connection = await asyncpg.connect(postgres.dsn(settings.database))
    try:
        await connection.execute("begin")
        yield connection
    finally:
        await connection.close()

"""Each migration only adds: what it says it runs with finds everything it relies on."""

from __future__ import annotations

import itertools

import asyncpg
import pytest

from tests.harness.expansion import Shape, broken, shape
from warouter.config import load
from warouter.local.postgres import Postgres
from warouter.store import migrate
from warouter.store.migrate import Migration

RELEASED = [m for m in migrate.migrations() if m.version <= 2]
_numbers = itertools.count()


async def after(
    postgres: Postgres, files: list[Migration], monkeypatch: pytest.MonkeyPatch
) -> Shape:
    """The shape of a fresh database that these files made."""
    settings = load(postgres.settings(f"expansion_{next(_numbers)}"))
    monkeypatch.setattr(migrate, "migrations", lambda: files)
    await migrate.migrate(settings)
    connection = await asyncpg.connect(postgres.dsn(settings.database))
    try:
        return await shape(connection)
    finally:
        await connection.close()


async def test_what_a_file_says_it_runs_with_finds_all_it_needs(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = migrate.migrations()
    for last in files[len(RELEASED) :]:
        new = await after(postgres, [m for m in files if m.version <= last.version], monkeypatch)
        oldest = [m for m in files if m.version <= last.runs_with]
        assert broken(await after(postgres, oldest, monkeypatch), new) == [], last.name


def test_files_say_what_they_run_with() -> None:
    """From the third on: an operator upgrades while the build before carries traffic."""
    for file in migrate.migrations()[len(RELEASED) :]:
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
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, sql: str, found: list[str]
) -> None:
    next_one = Migration(3, "0003_next.sql", sql)
    old = await after(postgres, RELEASED, monkeypatch)
    new = await after(postgres, [*RELEASED, next_one], monkeypatch)
    said = broken(old, new)
    assert said[: len(found)] == found
    assert bool(said) == bool(found)

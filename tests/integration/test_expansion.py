"""Each step only adds: what it says it runs with finds everything it relies on."""

from __future__ import annotations

import asyncpg
import pytest

from tests.harness.expansion import Shape, broken, shape
from tests.harness.postgres import PATIENT
from warouter.config import load
from warouter.local.postgres import Postgres
from warouter.store import migrate
from warouter.store.migrations import migrations

STEPS = migrations()


async def test_the_build_a_step_runs_with_finds_all_it_needs(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(postgres.settings("expansion"))
    shapes: dict[int, Shape] = {}  # of the database after each step
    for n, last in enumerate(STEPS, 1):
        monkeypatch.setattr(migrate, "migrations", lambda n=n: STEPS[:n])
        await migrate.migrate(settings)
        connection = await asyncpg.connect(postgres.dsn(settings.database))
        shapes[last.version] = new = await shape(connection)
        await connection.close()
        assert broken(shapes[last.runs_with], new) == [], last.name


def test_steps_say_what_they_run_with() -> None:
    """All but the baseline: an operator upgrades while the build before carries traffic."""
    for step in STEPS[1:]:
        assert step.runs_with < step.version, f"{step.name} lacks `-- runs with: N`"


CHANGES: tuple[tuple[str, list[str]], ...] = (
    ("alter table message add column origin bigint not null default 0", []),
    ("create table more (a integer primary key, b text not null unique)", []),
    ("create function beat(a uuid, b int, c int, d int, e int, f int) returns int return 1", []),
    ("drop table dead_letter", ["column dead_letter.asked_at timestamp with time zone is gone"]),
    (
        "alter table node rename column name to title",
        ["column node.name text is gone", "column node.title must be given"],
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
    ("alter table node add constraint ports check (port > 0)", ["table node has a new rule ports"]),
    ("create unique index on node (name)", ["table node has a new rule node_name_idx"]),
)


async def test_a_step_that_removes_something_is_found(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        old = await shape(connection)
        for sql, found in CHANGES:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(f"{PATIENT}; {sql}")
            said = broken(old, await shape(connection))
            await transaction.rollback()
            assert said[: len(found)] == found
            assert bool(said) == bool(found)

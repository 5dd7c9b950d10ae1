"""The migration runner on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import msgspec
import pytest

from tests.harness.postgres import until
from tests.harness.wait import PATIENCE
from warouter import __version__
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.retry import backoff
from warouter.store import database, migrate
from warouter.store.migrations import BASELINE, Migration, migrations
from warouter.store.roles import stepwise

NEWEST = migrations()[-1].version
# Checksums of the steps that are released, by name. Until 0.3.0 has its tag none is, and the
# baseline may change; from then on each release adds its own.
RELEASED: dict[str, str] = {}


def test_a_released_step_never_changes() -> None:
    checksums = {step.name: step.checksum for step in migrations()}
    assert {name: checksums.get(name) for name in RELEASED} == RELEASED
    version = tuple(int(n) for n in __version__.split(".")[:2])
    assert (version >= (0, 3)) == bool(RELEASED), "put the checksums of this release there"


def test_comments_do_not_count_in_a_checksum() -> None:
    """The comment of a function names its callers, which may move."""
    first, *others = (
        Migration(7, "0007_x.sql", sql).checksum
        for sql in ("select 1;\n", "-- A\n-- B\nselect 1;\n", "select 2;\n", "  -- A\nselect 1;\n")
    )
    assert [first == other for other in others] == [True, False, False]


async def test_the_steps_make_the_schema_once(settings: Settings, pool: asyncpg.Pool) -> None:
    assert await migrate.migrate(settings) == []
    applied = await pool.fetch("select name from schema_migration order by version")
    assert [row["name"] for row in applied] == [m.name for m in migrations()]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("delete from schema_migration", "run `warouter migrate`"),
        ("update format set hash_name = 'crc32'", "would change their slot"),
    ],
    ids=["older", "another hash"],
)
async def test_a_schema_this_build_cannot_use_is_refused(
    settings: Settings, pool: asyncpg.Pool, change: str, sentence: str
) -> None:
    await pool.execute(change)
    await _refused(settings, sentence)


async def test_a_newer_schema_that_does_not_run_with_this_build_is_refused(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await _newer(pool, 9998, NEWEST)
    await _newer(pool, 9999, 9998)
    sentence = "newer than this build .it has 9999_later.sql, this build ends with"
    await _refused(settings, sentence)
    with pytest.raises(CommandError, match=sentence):
        await migrate.migrate(settings)


async def test_a_newer_schema_whose_files_all_run_with_this_build_is_accepted(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await _newer(pool, 9998, NEWEST)
    await _newer(pool, 9999, NEWEST)
    await _accepted(settings)


@pytest.mark.parametrize("name", [BASELINE, "0001_initial.sql"])
async def test_a_database_of_another_baseline_is_to_be_drained(
    settings: Settings, pool: asyncpg.Pool, name: str
) -> None:
    await pool.execute(
        "update schema_migration set name = $1, checksum = 'other' where version = 1", name
    )
    sentence = "another one: drain it with that build, then begin with an empty database"
    await _refused(settings, sentence)
    with pytest.raises(CommandError, match=sentence):
        await migrate.migrate(settings)


async def test_a_changed_step_is_refused(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_next(monkeypatch, "select 1")
    await migrate.migrate(settings)
    await pool.execute("update schema_migration set checksum = 'x' where version > $1", NEWEST)
    await _refused(settings, "differs from the one that was applied")


async def test_a_second_cluster_in_the_database_is_refused(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    other = msgspec.structs.replace(settings, db_schema="another")
    with pytest.raises(CommandError, match="give this one a database of its own"):
        await migrate.migrate(other)
    assert not await pool.fetchval(
        "select exists (select from pg_namespace where nspname = 'another')"
    )
    await pool.execute("create schema another; create table another.schema_migration ()")
    assert await migrate.migrate(settings) == []  # another program's table of that name


def test_a_step_names_the_builds_it_runs_with() -> None:
    def runs_with(sql: str) -> int:
        return Migration(7, "0007_x.sql", sql).runs_with

    assert runs_with("-- Adds a column.\n-- runs with: 5\nselect 1") == 5
    assert runs_with("select 1;\n-- runs with: 5") == 7
    assert runs_with("-- runs with: nobody\nselect 1") == 7


async def test_a_waiting_migration_lets_traffic_pass(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind an ALTER that waits for a dump, every statement on the table would queue."""
    _with_next(monkeypatch, ALTER)
    tries: asyncio.Queue[int] = asyncio.Queue()

    def noted(attempt: int, **limits: float) -> float:
        tries.put_nowait(attempt)
        return backoff(attempt, **limits)

    monkeypatch.setattr(stepwise, "backoff", noted)
    dump = await _reading(settings, "dump")
    migrating = asyncio.create_task(migrate.migrate(settings))
    while await tries.get() < 3:
        async with asyncio.timeout(2):  # far less than a lease at the pace of ten tries
            await pool.execute("insert into message values (0, 1, 'x', '1', 0, now(), '')")
            await pool.execute("delete from message")
    assert not migrating.done()
    await dump.execute("commit")
    assert await migrating == ["9999_later.sql"]
    await dump.close()
    row = await pool.fetchrow("select * from schema_migration where version = 9999")
    assert row["runs_with"] == NEWEST


async def test_locks_that_are_not_to_be_had_are_explained(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_next(monkeypatch, ALTER)
    monkeypatch.setattr(stepwise, "TRY_SECONDS", 0.3)
    dump = await _reading(settings, "nightly")
    with pytest.raises(CommandError, match=r"9999_later.sql did not get its locks .*'nightly'"):
        await migrate.migrate(settings)
    await dump.close()
    assert await migrate.migrate(settings) == ["9999_later.sql"]


ALTER = "alter table message add column origin bigint not null default 0"
INDEX = "create index concurrently if not exists parked_twice on parked_message (slot, seq);"
# An index waits for a transaction that is older.
BUILDING = """
select count(*) from pg_stat_progress_create_index where phase like 'waiting for%'"""
_VALID = "select indisvalid from pg_index where indexrelid = to_regclass('parked_twice')"


async def _open_transaction(settings: Settings) -> database.Connection:
    writer = await database.connect(settings, "writer", idle_in_transaction_session_timeout="0")
    await writer.execute("begin; delete from parked_message where slot = 9")
    return writer


async def test_writers_go_on_while_an_index_is_built(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made in a transaction it held up the owners of large tables for as long as that took."""
    _with_next(monkeypatch, INDEX, outside=True)
    writer = await _open_transaction(settings)
    migrating = asyncio.create_task(migrate.migrate(settings))
    await until(pool, BUILDING)
    other = asyncio.create_task(migrate.migrate(settings))  # is not waited for, either
    async with asyncio.timeout(PATIENCE):
        await pool.execute(_PARK)
    assert not migrating.done()
    await writer.execute("commit")
    assert await migrating == ["9999_later.sql"]
    assert await other == []
    assert await pool.fetchval(_VALID)
    await writer.close()


_PARK = """
insert into parked_message (slot, seq, id, recipient, attempts, due_at, reason)
values (9, 1, 'x', '1', 1, now(), 'r')"""


async def test_a_half_built_index_is_built_again(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the name already, and no statement would ever use it."""
    _with_next(monkeypatch, INDEX, outside=True)
    writer = await _open_transaction(settings)
    migrating = asyncio.create_task(migrate.migrate(settings))
    await until(pool, BUILDING)
    await pool.execute("select pg_terminate_backend(pid) from pg_stat_progress_create_index")
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await migrating
    await writer.close()
    assert await pool.fetchval(_VALID) is False
    assert await pool.fetchval("select 1 from schema_migration where version = 9999") is None
    assert await migrate.migrate(settings) == ["9999_later.sql"]
    assert await pool.fetchval(_VALID)


def test_nothing_but_indexes_is_outside_a_transaction() -> None:
    head = "-- runs with: 5\n-- outside a transaction\n\n"
    assert Migration(7, "0007_x.sql", head + INDEX).indexes == {"parked_twice": INDEX[:-1]}
    assert Migration(7, "0007_x.sql", INDEX).indexes == {}
    with pytest.raises(CommandError, match=r"0007_x.sql: outside a transaction .* not: drop"):
        _ = Migration(7, "0007_x.sql", head + INDEX + "drop table node").indexes


@pytest.mark.parametrize("step", migrations(), ids=lambda step: step.name)
def test_an_index_on_a_table_that_was_there_is_outside_a_transaction(step: Migration) -> None:
    made = set(re.findall(r"create (?:unlogged )?table (\w+)", step.sql))
    indexed = set(re.findall(r"create (?:unique )?index [^;]*? on (\w+)", step.sql))
    assert step.indexes or indexed <= made


async def test_writing_functions_are_volatile(pool: asyncpg.Pool) -> None:
    """STABLE would check the owner on a snapshot older than the lock."""
    rows = await pool.fetch(
        "select proname from pg_proc where pronamespace = 'warouter'::regnamespace"
        " and provolatile <> 'v'"
    )
    assert [row["proname"] for row in rows] == [], "declare these volatile"


async def _newer(pool: asyncpg.Pool, version: int, runs_with: int) -> None:
    await pool.execute(
        "insert into schema_migration (version, name, checksum, runs_with)"
        " values ($1, $2, 'x', $3)",
        version,
        f"{version}_later.sql",
        runs_with,
    )


def _with_next(monkeypatch: pytest.MonkeyPatch, sql: str, *, outside: bool = False) -> None:
    """This build has one step more."""
    how = "-- outside a transaction\n" if outside else ""
    steps = migrations()
    later = Migration(9999, "9999_later.sql", f"-- runs with: {NEWEST}\n{how}{sql}")
    monkeypatch.setattr(migrate, "migrations", lambda: [*steps, later])


async def _accepted(settings: Settings) -> None:
    connection = await database.connect(settings, "test")
    await migrate.check(connection)
    await connection.close()
    assert await migrate.migrate(settings) == []


async def _reading(settings: Settings, name: str) -> database.Connection:
    """A dump that has begun, and so has a lock on the messages."""
    dump = await database.connect(settings, name, idle_in_transaction_session_timeout="0")
    await dump.execute("begin; select count(*) from message")
    return dump


async def _refused(settings: Settings, sentence: str) -> None:
    connection = await database.connect(settings, "test")
    try:
        with pytest.raises(CommandError, match=sentence):
            await migrate.check(connection)
    finally:
        await connection.close()

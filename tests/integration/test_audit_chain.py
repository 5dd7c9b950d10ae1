"""The audit log on a real PostgreSQL: nobody changes it, and what force did to it is found."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import msgspec
import pytest

from tests.harness.audit import by_force
from tests.harness.postgres import PATIENT, until
from tests.harness.shell import command, printed, refused
from warouter.config import Settings
from warouter.store.audit import DONE, Audit, record
from warouter.store.database import connect, create_pool
from warouter.store.refusal_sums import Note
from warouter.store.views.audit import read_audit, read_ends, read_rows

HERE = "203.0.113.9"
KEPT = "append-only"


async def fill(pool: asyncpg.Pool, deeds: int = 3) -> None:
    """So many actions that begin and end: two rows each."""
    audit = Audit(pool)
    for n in range(deeds):
        number = await audit.begin("admin", f"deed {n}", HERE)
        await audit.end(number, "clérk \U0001f600 'x'", DONE)


async def old(pool: asyncpg.Pool, days: float, rows: str = "true") -> None:
    """Rows that were written so long ago: their hashes are made anew, as if they had been."""
    await by_force(pool, f"update audit set at = now() - interval '{days} days' where {rows}")
    await anew(pool)


async def anew(pool: asyncpg.Pool) -> None:
    """What an administrator can do: a chain over whatever the rows say now."""
    await by_force(
        pool,
        """do $$
declare
    r record;
    stamp text := 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"';
    previous bytea := (select tail_hash from audit_chain);
begin
    for r in select * from audit order by id loop
        previous := audit_hash(previous, array[
            r.id::text, to_char(r.at at time zone 'UTC', stamp), r.actor, r.action, r.subject,
            r.source, r.outcome, r.of::text, r.times::text,
            to_char(r.since at time zone 'UTC', stamp)]);
        update audit set hash = previous where id = r.id;
    end loop;
    update audit_chain set head_hash = previous;
end $$""",
    )


async def head(pool: asyncpg.Pool) -> tuple[int, str]:
    ends = await read_ends(pool)
    assert ends is not None
    return ends.head_id, ends.head_hash


async def test_audit_rows_form_a_chain(settings: Settings, pool: asyncpg.Pool) -> None:
    assert "is whole: 0 rows" in await printed(settings, "audit", "--verify")
    await fill(pool)
    await Audit(pool).add({Note("x", "log in", HERE, "401/1005"): 3})
    async with pool.acquire() as connection, connection.transaction():
        await record(connection, "root", "doubt fail", "", "")
    await pool.execute(
        "update audit_pending set until = until - interval '1 hour', first = first - interval '9 s'"
    )
    await Audit(pool).begin("admin", "dies", HERE)  # moves the sum first
    said = await printed(settings, "audit", "--verify")
    assert re.search(r"is whole: 9 rows \(1 to 9, .*Z to .*Z\); note elsewhere", said)
    number, hashed = await head(pool)
    assert f"--known: {number}:{hashed}" in said
    shown = await read_audit(pool, 99)
    assert [(e.action, e.outcome, e.times, e.pending) for e in shown] == [
        ("dies", "begun", 1, False),
        ("doubt fail", "done", 1, False),
        *((f"deed {n}", "done", 1, False) for n in (2, 1, 0)),
        ("log in", "401/1005", 3, False),
    ]


async def test_a_sum_is_pending_as_long_as_it_may_grow(pool: asyncpg.Pool) -> None:
    audit, note = Audit(pool), Note("x", "log in", HERE, DONE)
    for _ in range(2):
        await audit.add({note: 2})
        (entry,) = await read_audit(pool, 9)
        assert entry.pending
    assert entry.times == 4
    await pool.execute("update audit_pending set until = now()")
    await asyncio.gather(*(audit.begin("admin", f"{n}", HERE) for n in range(8)))
    found = [(e.times, e.pending) for e in await read_audit(pool, 99) if e.action == "log in"]
    assert found == [(4, False)]  # moved once, whoever came first


# Nobody changes a row


@pytest.mark.parametrize(
    "statement",
    [
        "update audit set outcome = 'done' where id = 1",
        "update audit set subject = 'x', outcome = 'done' where id = 1",
        "update audit set hash = sha256('')",
        "delete from audit where id = 1",
        "delete from audit",
        "truncate audit",
        "truncate audit, audit_pending",
    ],
)
@pytest.mark.parametrize("days", [0, 400])
async def test_the_owner_of_the_table_is_refused(
    settings: Settings, pool: asyncpg.Pool, statement: str, days: int
) -> None:
    await fill(pool)
    await old(pool, days)
    before = await pool.fetch("select * from audit order by id")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=KEPT):
        await pool.execute(statement)
    assert await pool.fetch("select * from audit order by id") == before


async def test_the_database_chooses_number_time_hash_and_actor_of_an_end(
    pool: asyncpg.Pool,
) -> None:
    number = await Audit(pool).begin("admin", "deed", HERE)
    await pool.execute(
        "insert into audit (id, at, actor, action, source, outcome, of, hash)"
        " overriding system value values (99, 'epoch', 'forged', 'x', 'x', 'done', $1, 'x')",
        number,
    )
    _, end = await read_rows(pool, 0, 99)
    assert (end.id, end.actor, end.action, end.source) == (2, "admin", "deed", HERE)
    assert end.at > "2026"
    for of in (1, 2, 7):  # it has ended; it is itself an end; there is none
        with pytest.raises(asyncpg.CheckViolationError, match="under way"):
            await Audit(pool).end(of, "", "done")
    for since in ("infinity", "-infinity", "1066-10-14"):
        with pytest.raises(asyncpg.CheckViolationError, match="out of range"):
            await pool.execute(
                "insert into audit (actor, action, source, outcome, since)"
                f" values ('x', 'x', 'x', 'x', '{since}')"
            )


async def test_a_table_of_the_session_s_own_does_not_stand_in_for_the_chain(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """A definer function that looked into pg_temp first would write the forger's rows."""
    await fill(pool)
    async with pool.acquire() as connection:
        await connection.execute(
            "create temp table audit_chain as select * from warouter.audit_chain;"
            "create temp table audit_pending as select * from warouter.audit_pending;"
            "update pg_temp.audit_chain set tail_id = 6, pruned_by = pg_current_xact_id()"
        )
        async with connection.transaction():
            await connection.execute(
                "update pg_temp.audit_chain set tail_id = 6, pruned_by = pg_current_xact_id()"
            )
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match=KEPT):
                async with connection.transaction():
                    await connection.execute("delete from audit")
            await record(connection, "admin", "deed", "", "")
    assert "is whole: 7 rows" in await printed(settings, "audit", "--verify")


# What an administrator did past the triggers


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("delete from audit where id = 3", "row 3 was removed"),
        ("delete from audit where id in (3, 4)", "rows 3 to 4 were removed"),
        ("delete from audit where id = 1", "row 1 was removed"),
        ("delete from audit where id >= 5", "rows 5 to 6 were removed from the new end"),
        ("truncate audit", "rows 1 to 6 were removed from the new end"),
        ("update audit set actor = 'x' where id = 3", "row 3, of "),
        ("update audit set at = at + interval '1 us' where id = 3", "row 3, of "),
        ("update audit set subject = '' where id = 6", "row 6, of "),
        ("update audit set hash = sha256('') where id = 3", "row 3, of "),
        (
            "insert into audit (id, actor, action, source, outcome, hash) overriding system value"
            " values (7, 'x', 'x', 'x', 'x', sha256(''))",
            "row 7 was put in past the trigger, behind the new end",
        ),
        (
            "update audit a set (at, action, subject, outcome, of, hash) ="
            " (b.at, b.action, b.subject, b.outcome, b.of, b.hash) from audit b"
            " where (a.id, b.id) in ((2, 3), (3, 2))",
            "row 2, of ",
        ),
        ("delete from audit_chain", "audit_chain is empty"),
        ("update audit_chain set head_id = 5", "row 5 is not the one"),
        ("update audit_chain set tail_id = 3", "row 1 is back"),
    ],
)
async def test_tampering_is_found(
    settings: Settings, pool: asyncpg.Pool, statement: str, sentence: str
) -> None:
    await fill(pool)
    assert "is whole" in await printed(settings, "audit", "--verify")
    await by_force(pool, statement)
    assert f"The audit log is broken: {sentence}" in await refused(settings, "audit", "--verify")
    assert (await command(settings, "audit", "--verify")).exit_code == 1


async def test_a_chain_that_was_written_anew_is_found_by_what_was_noted(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await fill(pool)
    number, hashed = await head(pool)
    noted = f"{number}:{hashed}"
    await fill(pool, 1)
    assert "is whole: 8" in await printed(settings, "audit", "--verify", "--known", noted)
    await by_force(pool, "update audit set actor = 'x' where id = 3")
    await anew(pool)
    assert "is whole" in await printed(settings, "audit", "--verify")
    said = await refused(settings, "audit", "--verify", "--known", noted)
    assert "row 6 has another hash than the one that was known" in said
    later = f"9:{hashed}"
    said = await refused(settings, "audit", "--verify", "--known", later)
    assert "the chain ends before row 9" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("--verify", "--follow"),
        ("--known", "1:" + "0" * 64),
        ("--since", "1"),
        ("--verify", "--known", "1:xyz"),
        ("--follow", "--since", "-1"),
    ],
)
async def test_options_that_do_not_fit(settings: Settings, arguments: tuple[str, ...]) -> None:
    assert (await command(settings, "audit", *arguments)).exit_code == 2


# Many at once


async def test_eight_sessions_write_one_chain(settings: Settings, pool: asyncpg.Pool) -> None:
    audit = Audit(pool)

    async def session(mine: int) -> None:
        async with pool.acquire() as connection:
            for n in range(125):
                transaction = connection.transaction()
                await transaction.start()
                await record(connection, f"session {mine}", f"deed {n}", "", HERE)
                await transaction.commit()
                if n % 25 == 0:  # leaves no gap
                    await transaction_that_fails(connection)

    async def transaction_that_fails(connection: asyncpg.Connection) -> None:
        transaction = connection.transaction()
        await transaction.start()
        await record(connection, "nobody", "nothing", "", HERE)
        await transaction.rollback()

    await asyncio.gather(*(session(n) for n in range(8)))
    await audit.add({Note("x", "log in", HERE, DONE): 1})
    ids = await pool.fetch("select id from audit order by id")
    assert [row["id"] for row in ids] == list(range(1, 1001))
    assert "is whole: 1000 rows" in await printed(settings, "audit", "--verify")


async def test_sums_rows_and_retention_do_not_wait_in_a_circle(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    audit = Audit(pool)
    sums = {Note(f"name{n}", "log in", HERE, DONE): 1 for n in range(5)}

    async def deed(n: int) -> None:
        number = await audit.begin("admin", f"deed {n}", HERE)
        await audit.end(number, "", DONE)

    for _ in range(10):
        await asyncio.gather(*(audit.add(sums) for _ in range(3)), *(deed(n) for n in range(4)))
        await pool.execute("update audit_pending set until = now()")
    await deed(0)
    assert await pool.fetchval("select count(*) from audit where of is not null") == 41
    assert await pool.fetchval("select sum(times) from audit where since is not null") == 150
    assert "is whole" in await printed(settings, "audit", "--verify")


# Retention


async def test_retention_takes_the_old_end_and_keeps_the_anchor(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await fill(pool, 510)
    await old(pool, 20, "id <= 1012")
    for gone, first in ((1000, 1001), (12, 1013), (0, 1013)):
        assert await pool.fetchval("select prune_audit(10)") == gone
        said = await printed(settings, "audit", "--verify")
        assert f"({first} to 1020," in said
    number, hashed = await head(pool)
    assert f"{number}:{hashed}" in said
    said = await refused(settings, "audit", "--verify", "--known", f"7:{hashed}")
    assert "Row 7 of --known is no longer kept (the oldest is row 1013)" in said


async def test_retention_takes_nothing_of_the_last_day_and_nothing_behind_it(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await fill(pool)
    await old(pool, 0.9, "id = 3")
    await old(pool, 2, "id <> 3")
    for days in (0, -5, 1):
        await pool.fetchval("select prune_audit($1)", days)
    assert "(3 to 6," in await printed(settings, "audit", "--verify")
    # Nor does the anchor open the way for what comes later in the same transaction.
    await old(pool, 2, "id = 3")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await connection.fetchval("select prune_audit(1)") == 4
        await record(connection, "admin", "deed", "", "")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=KEPT):
            await connection.execute("delete from audit")
        await transaction.rollback()


async def test_webapps_cannot_prune_below_the_owners_days(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """`migrate --roles` says for how long."""
    await fill(pool)
    await old(pool, 20)
    roles = ("migrate", "--roles", "--role-prefix", "keep")
    said = await printed(settings, *roles, WAROUTER_AUDIT_RETENTION="30")
    assert "Rows of the audit log stay for 30 days at least now." in said
    webapp = msgspec.structs.replace(settings, db_username="keep_webapp")
    session = await connect(webapp, "test")
    assert await session.fetchval("select prune_audit(1)") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await session.execute("update audit_chain set kept_days = 1")
    assert "10 days at least" in await printed(settings, *roles, WAROUTER_AUDIT_RETENTION="10")
    assert await session.fetchval("select prune_audit(1)") == 6
    await session.close()


async def test_all_of_it_may_go(settings: Settings, pool: asyncpg.Pool) -> None:
    await fill(pool)
    await old(pool, 2)
    assert await pool.fetchval("select prune_audit(1)") == 6
    assert "is whole: 0 rows" in await printed(settings, "audit", "--verify")
    await fill(pool, 1)
    assert "is whole: 2 rows (7 to 8," in await printed(settings, "audit", "--verify")


async def test_rights_of_a_webapp_on_the_audit_log_are_few(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """A login that may insert, read numbers, and call two functions; and what it may not."""
    role = "audit_webapp"
    await pool.execute(f"drop role if exists {role}; create role {role} login")
    try:
        await pool.execute(
            f"grant usage on schema {settings.db_schema} to {role};"
            " grant insert (actor, action, subject, source, outcome, of, times, since),"
            f" select (id) on audit to {role};"
            f" grant execute on function prune_audit, audit_add to {role}"
        )
        name = "wa:0123456789abcdef0123456789abcdef:webapp-1"  # as a process, and as one taken over
        theirs = await create_pool(msgspec.structs.replace(settings, db_username=role), name, 2)
        audit = Audit(theirs)
        number = await audit.begin("admin", "deed", HERE)
        await audit.end(number, "clerk", DONE)
        await audit.add({Note("x", "log in", HERE, "401/1005"): 3})
        await pool.execute("update audit_pending set until = now()")
        await audit.begin("admin", "deed", HERE)
        await old(pool, 0.9)
        assert await theirs.fetchval("select prune_audit(-400000)") == 0
        for forbidden in (
            "insert into audit (at, actor, action, source, outcome) values (now(), '', '', '', '')",
            "update audit set outcome = 'x'",
            "delete from audit",
            "truncate audit",
            "select * from audit",
            "select * from audit_chain for update",
            "update audit_chain set pruned_by = pg_current_xact_id()",
            "delete from audit_pending",
            "update audit_pending set times = 1",
            "select audit_move_sums()",
            "alter table audit disable trigger all",
            "set session_replication_role = replica",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await theirs.execute(forbidden)
        await theirs.close()
        assert "is whole: 4 rows" in await printed(settings, "audit", "--verify")
    finally:
        await pool.execute(f"drop owned by {role}; drop role {role}")


async def test_a_row_waits_for_the_one_before_and_takes_its_place_if_that_is_given_up(
    pool: asyncpg.Pool,
) -> None:
    async with pool.acquire() as one, pool.acquire() as other:
        transaction = one.transaction()
        await transaction.start()
        await one.execute(PATIENT)
        await record(one, "one", "deed", "", "")
        waiting = asyncio.create_task(record(other, "other", "deed", "", ""))
        blocked = "select cardinality(pg_blocking_pids($1)) > 0"
        await until(pool, blocked, other.get_server_pid())
        await transaction.rollback()
        await waiting
    (row,) = await read_rows(pool, 0, 99)
    assert (row.id, row.actor) == (1, "other")

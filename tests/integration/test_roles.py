"""Each login against each table, column and function of the catalogue: what it may, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import NamedTuple
from uuid import uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.postgres import until
from warouter.config import Settings
from warouter.store import database
from warouter.store.beats import NodeRegistration, NodeSession
from warouter.store.migrate import administering, migrate
from warouter.store.roles import grants
from warouter.store.roles.catalogue import read, recorded
from warouter.store.roles.compare import declared
from warouter.store.roles.create import create

JOURNALS = (
    *("message", "event", "send_cursor", "event_cursor", "parked_message", "parked_event"),
    *(
        "aside",
        "dead_letter",
        "slot",
        "term",
        "send_issue",
        "upstream_id",
        "cloud_inbox",
        "request_key",
    ),
)
# What functions call of each other, what triggers call, and what functions alone look at.
NOBODY_EXECUTES = (
    "audit_append audit_hash audit_keep audit_move_sums bump bump_auth bump_number change_owner"
    " console_user_changed doubt_heads end_sessions event_pointed_at held_slots hold_term"
    " hold_wamids lead_event_lanes match_known media_gone next_event_seq pointed_at record_aside"
    " record_issues record_parked_events record_parked_messages record_rare record_taken url_shown"
)
NO_PROGRESS = ", ".join(["'{}'"] * 16)
NOBODY_READS = "request_key cloud_unmatched cloud_quarantine cloud_kept cloud_share"
TEXTS = {
    "message": ["body"],
    "event": ["payload", "contact"],
    "dead_letter": ["payload", "contact"],
    "cloud_inbox": ["payload", "contact"],
    "cloud_unmatched": ["payload"],
    "cloud_quarantine": ["body"],
}
_COLUMNS = """
select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
 where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
   and a.attnum > 0 and not a.attisdropped order by 1, 2"""
# Without those that triggers call: nobody can call them.
_CALLS = """
select p.oid::regprocedure::text as name,
       format('select * from %s(%s)', p.proname,
              (select string_agg('null::' || t::regtype, ', ' order by n)
                 from unnest(p.proargtypes) with ordinality as a(t, n))) as sql
  from pg_proc p
 where p.pronamespace = current_schema()::regnamespace and p.prorettype <> 'trigger'::regtype"""

_FUNCTIONS = """
select distinct proname from pg_proc where pronamespace = current_schema()::regnamespace"""


class Logins(NamedTuple):
    """A database with roles: ``names`` and ``settings`` by kind, and who may do everything."""

    names: Mapping[str, str]
    settings: Mapping[str, Settings]
    administrator: Settings
    opened: list[asyncpg.Connection]

    async def connect(self, kind: str, application: str = "test") -> asyncpg.Connection:
        """As a login of this kind; it ends with the test."""
        self.opened.append(await database.connect(self.settings[kind], application))
        return self.opened[-1]


@pytest_asyncio.fixture
async def logins(settings: Settings) -> AsyncIterator[Logins]:
    async with administering(settings) as connection:
        await create(connection, None, None)
        names = await recorded(connection)
    own = {
        kind: msgspec.structs.replace(settings, db_username=name) for kind, name in names.items()
    }
    logins = Logins(names, own, settings, [])
    yield logins
    for connection in logins.opened:
        await connection.close()


async def allowed(connection: asyncpg.Connection, sql: str) -> bool:
    """Whether PostgreSQL would run it: all rights are looked at, and nothing is done."""
    try:
        await connection.execute(f"explain {sql}")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


def tried(columns: list[tuple[str, str]]) -> Iterator[tuple[str, str, str, str]]:
    """(privilege, table, column or "", statement) for all that can be done to a table."""
    for table in sorted({table for table, _ in columns}):
        yield "delete", table, "", f"delete from {table} where false"
    for table, column in columns:
        yield "insert", table, column, f"insert into {table} ({column}) values (default)"
        yield "select", table, column, f"select {column} from {table} limit 0"
        yield "update", table, column, f"update {table} set {column} = default where false"


def expected(kind: str, privilege: str, table: str, column: str) -> bool:
    """As ``grants`` has it."""
    if table in grants.WHOLE[privilege].get(kind, "").split():
        return True
    some = grants.COLUMNS.get(privilege, {}).get(kind, {}).get(table, "")
    return column in some.split()


@pytest.mark.parametrize("kind", grants.KINDS)
async def test_a_login_may_do_to_tables_what_is_declared_and_no_more(
    logins: Logins, pool: asyncpg.Pool, kind: str
) -> None:
    connection = await logins.connect(kind)
    cells = list(tried([tuple(row) for row in await pool.fetch(_COLUMNS)]))
    wrong = [
        (privilege, table, column)
        for privilege, table, column, sql in cells
        if await allowed(connection, sql) != expected(kind, privilege, table, column)
    ]
    assert wrong == []
    assert len(cells) > 400  # 49 tables, and three cells a column
    for table in {cell[1] for cell in cells}:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"truncate {table}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"alter table {table} add more integer")


@pytest.mark.parametrize("kind", grants.KINDS)
async def test_a_login_may_call_what_is_declared_and_no_more(
    logins: Logins, pool: asyncpg.Pool, kind: str
) -> None:
    connection = await logins.connect(kind)
    found = await read(connection, logins.names)
    wanted = declared(logins.names, found.schema, found.database, found.functions)
    mine = {right.name for right in wanted if right.grantee == logins.names[kind]}
    calls = await pool.fetch(_CALLS)
    may = {row["name"] for row in calls if await allowed(connection, row["sql"])}
    assert may == mine & {row["name"] for row in calls}
    assert len(calls) > 70


async def test_a_new_object_has_no_rights_until_declared(pool: asyncpg.Pool) -> None:
    """Each table and function has its place in ``store.roles.grants``, or here among nobody's."""
    tables = {row["relname"] for row in await pool.fetch(_COLUMNS)}
    named = {*NOBODY_READS.split()}
    for by_kind in grants.WHOLE.values():
        named |= {table for text in by_kind.values() for table in text.split()}
    for columns in grants.COLUMNS.values():
        named |= {table for of_kind in columns.values() for table in of_kind}
    assert tables == named
    functions = {row[0] for row in await pool.fetch(_FUNCTIONS)}
    called = {name for text in grants.EXECUTE.values() for name in text.split()}
    assert functions == called | {*NOBODY_EXECUTES.split()}
    assert not called & {*NOBODY_EXECUTES.split()}


async def test_a_new_table_and_a_new_function_are_refused_to_everybody(
    logins: Logins, pool: asyncpg.Pool
) -> None:
    """As the next migration would make them: in the name of the owner."""
    await pool.execute("create table more (n integer); create function more() returns int return 1")
    await pool.execute(f"alter table more owner to {logins.names['owner']}")
    await pool.execute(f"alter function more() owner to {logins.names['owner']}")
    await migrate(logins.administrator)
    for kind in grants.KINDS:
        connection = await logins.connect(kind)
        assert not await allowed(connection, "select n from more")
        assert not await allowed(connection, "select more()")


@pytest.mark.parametrize("kind", grants.KINDS)
async def test_no_login_writes_a_journal_itself(
    logins: Logins, pool: asyncpg.Pool, kind: str
) -> None:
    connection = await logins.connect(kind)
    columns = await pool.fetch(_COLUMNS)
    for table in JOURNALS:
        refused = [f"delete from {table}", f"insert into {table} default values"]
        refused += [
            f"update {table} set {row['attname']} = default"
            for row in columns
            if row["relname"] == table
            # An operator asks for the replay of a letter, by a command or at the console.
            and (table, row["attname"], kind[-7:]) != ("dead_letter", "asked_at", "console")
        ]
        for sql in refused:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)


@pytest.mark.parametrize("kind", ["webapp", "master", "console", "reader", "web_console"])
async def test_only_a_coreapp_calls_what_writes_journals(logins: Logins, kind: str) -> None:
    connection = await logins.connect(kind)
    for sql in (
        "select append_messages(null, '{}', '{}', '{}', '{}', '{}', '{}', null, '{}', null, null)",
        "select append_events(null, '{}', '{}', '{}', '{}', null, '{}', '{}', '{}', null, null,"
        " null)",
        f"select record_progress(null, '{{}}', '{{}}', {NO_PROGRESS}, null)",
        "select held_slots(null, '{}', '{}')",
        "select change_owner(0::smallint, null, null, 'x', null, 0)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(sql)


async def test_a_coreapp_writes_nothing_past_its_epoch(logins: Logins, pool: asyncpg.Pool) -> None:
    me = uuid4()
    await pool.execute("update slot set owner = $1, epoch = 7 where slot = 3", me)
    coreapp = await logins.connect("coreapp")
    for epoch, stored in ((6, 0), (7, 1)):
        await coreapp.execute(
            "select append_messages($1, '{3}', array[$2::bigint], '{3}', '{1}',"
            " array['\\x01'::bytea], '{49151}', null, array['\\x7b7d'::bytea], null, null)",
            me,
            epoch,
        )
        assert await pool.fetchval("select count(*) from message") == stored


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_no_snapshot_of_before_gets_past_the_fences(
    logins: Logins, pool: asyncpg.Pool, level: str
) -> None:
    """In it whoever has been taken over meanwhile owns the slot, and leads."""
    me = uuid4()
    await pool.execute("update slot set owner = $1, epoch = 7 where slot = 3", me)
    await pool.execute("update term set term = 5, incarnation = $1", me)
    append = (
        "select append_messages($1, '{3}', '{7}', '{3}', '{1}',"
        " array['\\x01'::bytea], '{49151}', null, array['\\x7b7d'::bytea], null, null)"
    )
    take = "select take_over(5, $1, '{3}', '{7}', array[$1::uuid], '{x}', '{0}')"
    for kind, table, write in (("coreapp", "slot", append), ("master", "term", take)):
        connection = await logins.connect(kind)
        await connection.execute(f"begin isolation level {level}; select from {table}")
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED only"):
            await connection.execute(write, me)
    assert await pool.fetchval("select count(*) from message") == 0


@pytest.mark.parametrize("kind", ["master", "webapp", "console", "reader", "web_console"])
async def test_contents_are_readable_by_those_who_deliver_them(logins: Logins, kind: str) -> None:
    """The console shows dead letters, and nobody but a coreapp more than that."""
    connection = await logins.connect(kind)
    for table, columns in TEXTS.items():
        shown = kind == "console" and table == "dead_letter"
        for column in (*columns, f"{table}.*::text"):
            assert await allowed(connection, f"select {column} from {table}") is shown, table


@pytest.mark.parametrize("kind", ["master", "console", "reader", "web_console"])
async def test_keys_and_hashes_are_read_by_who_checks_them(logins: Logins, kind: str) -> None:
    connection = await logins.connect(kind)
    for secret in (
        *("link_key from node", "password_hash from user_account", "hash from token"),
        *("cert from account", "authority_key from account", "pin_hash from account"),
        *("pin_hash from registration", "value from setting", "hash from console_session"),
    ):
        if (kind, secret) == ("web_console", "password_hash from user_account"):
            continue  # it is given passwords, as a webapp is
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"select {secret}")


async def test_a_process_registers_as_what_its_login_is_for(logins: Logins) -> None:
    """A webapp that were taken for a coreapp would be given slots, and messages with them."""
    for kind in grants.PROCESSES:
        for role in grants.PROCESSES:
            facts = NodeRegistration(
                incarnation=uuid4(), name="n", role=role, host="h", port=1, version="1", pid=1
            )
            session = NodeSession(logins.settings[kind], facts, lambda _what: None)
            if role == kind:
                await session.beat(True, 5.0)
                assert session.alive
            else:
                with pytest.raises(Exception, match="is not that of a"):
                    await session.beat(True, 5.0)
            session.terminate()


async def test_a_member_of_a_login_registers_as_that(logins: Logins, pool: asyncpg.Pool) -> None:
    """As where each host has a login of its own."""
    register = "select register_node($1, 'n', $2, 'h', 1, null, null, '1', 'h', 1, 1, 'sim', '')"
    await pool.execute("drop role if exists one_host; create role one_host login")
    await pool.execute(f"grant {logins.names['webapp']} to one_host")
    one = msgspec.structs.replace(logins.administrator, db_username="one_host")
    connection = await database.connect(one, "test")
    await connection.execute(register, uuid4(), "webapp")
    for role in ("coreapp", "master"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is not that of a"):
            await connection.execute(register, uuid4(), role)
    await connection.close()
    await pool.execute("drop role one_host")
    for role in grants.PROCESSES:  # an administrator is a member of all of them
        await pool.execute(register, uuid4(), role)


async def test_a_webapp_changes_no_row_of_another_kind_as_it_registers(
    logins: Logins, pool: asyncpg.Pool
) -> None:
    it = uuid4()
    register = "select register_node($1, 'n', $2, 'h', 1, null, null, '1', 'h', 1, 1, $3, $4)"
    await pool.execute(register, it, "coreapp", "cloud", b"")
    webapp = await logins.connect("webapp")
    await webapp.execute(register, it, "webapp", "simulator", b"mine")
    row = await pool.fetchrow("select role, upstream, certificate from node")
    assert tuple(row) == ("coreapp", "cloud", b"")


async def test_a_webapp_brings_what_webhooks_bring_and_no_word_of_an_operator(
    logins: Logins, pool: asyncpg.Pool
) -> None:
    webapp = await logins.connect("webapp")
    nothing = [None] * 6
    await webapp.execute(
        "select receive_cloud(null, false, 0, 0, array_fill(1::smallint, '{6}'), '{0,1,2,3,4,5}',"
        " '{a,b,c,d,e,f}', $1, $2, $3, $3, array_fill('x'::bytea, '{6}'), $1,"
        " array_fill(1, '{6}'),"
        " '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        nothing,
        nothing,
        nothing,
    )
    found = await pool.fetch("select kind from cloud_inbox order by key")
    assert [row[0] for row in found] == [0, 1, 3]


async def test_a_function_looks_for_its_tables_in_the_schema_only(
    logins: Logins, pool: asyncpg.Pool
) -> None:
    """Also where a login may make temporary tables, and where it looks first."""
    owner, me = logins.names["owner"], uuid4()
    coreapp = await logins.connect("coreapp")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await coreapp.execute("create temp table slot (slot smallint)")
    await pool.execute(f"grant temp on database {logins.administrator.database} to public")
    await coreapp.execute("create temp table slot as select * from warouter.slot")
    await coreapp.execute("update pg_temp.slot set owner = $1, epoch = 1", me)
    await coreapp.execute(f"grant select on pg_temp.slot to {owner}")
    await coreapp.execute("set search_path = pg_temp, warouter")
    got = await coreapp.fetchval(
        f"select record_progress($1, '{{1}}', '{{1}}', {NO_PROGRESS}, null)",
        me,
    )
    assert got == []
    for schema in ("warouter", "public"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await coreapp.execute(f"create table {schema}.trap ()")


async def test_every_function_has_its_path_and_is_executed_by_nobody_by_default(
    pool: asyncpg.Pool,
) -> None:
    """Also where one login does everything."""
    rows = await pool.fetch(
        "select proname, prosecdef, proconfig,"
        " exists (select from aclexplode(proacl) where grantee = 0) or proacl is null as anybody"
        " from pg_proc where pronamespace = 'warouter'::regnamespace"
    )
    path = "search_path=warouter, pg_temp"
    assert [r["proname"] for r in rows if path not in (r["proconfig"] or [])] == []
    assert [r["proname"] for r in rows if r["anybody"]] == []
    assert [r["proname"] for r in rows if not r["prosecdef"]] == ["unwritable"]


async def test_a_beat_is_not_waited_for_and_its_setting_ends_with_it(logins: Logins) -> None:
    """A function that has a search_path of its own still sets this for its transaction."""
    webapp = await logins.connect("webapp")
    async with webapp.transaction():
        await webapp.execute("select beat(null, true, '{}', true, false)")
        assert await webapp.fetchval("show synchronous_commit") == "off"
    assert await webapp.fetchval("show synchronous_commit") == "on"
    assert await webapp.fetchval("show search_path") == "warouter, pg_temp"


async def test_masters_end_sessions_of_processes_and_no_others(
    logins: Logins, pool: asyncpg.Pool
) -> None:
    gone = uuid4()
    name = database.application_name(gone, "node")
    await pool.execute("drop role if exists stranger")
    await pool.execute("create role stranger login superuser")
    ours = await logins.connect("coreapp", name)
    other = await logins.connect("coreapp", "psql")
    foreign = msgspec.structs.replace(logins.administrator, db_username="stranger")
    strange = await database.connect(foreign, name)
    for connection in (ours, other, strange):
        await connection.execute("select pg_advisory_lock_shared(7703, 5)")
    master = await logins.connect("master")
    pid = ours.get_server_pid()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await master.execute("select pg_terminate_backend($1)", pid)
    assert await master.fetchval("select end_slot_holders('{4}')") == 0
    assert await master.fetchval("select end_slot_holders('{5}')") == 1
    await until(pool, "select not exists (select from pg_stat_activity where pid = $1)", pid)
    assert await master.fetchval("select end_incarnations($1)", [f"wa:{gone.hex}"]) == 0
    for connection in (other, strange):
        assert await connection.fetchval("select 1") == 1
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await ours.fetchval("select 1")
    await strange.close()

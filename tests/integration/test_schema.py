"""``store/schema/``, the present text of each table and function, is what the migrations make.

Two databases, one made by the migrations and one from ``store/schema/``, are described from the
catalogs and compared, line by line and in both directions.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.postgres import PATIENT
from warouter.local.postgres import Postgres

STORE = Path(__file__).parents[2] / "src" / "warouter" / "store"
FUNCTIONS, TABLES = STORE / "schema" / "functions", STORE / "schema" / "tables"
CALLED_BY = re.compile(r"^-- Called by: (.*\n(?:--   .*\n)*)", re.MULTILINE)

# Whatever belongs to the schema, but for the table in which the runner keeps what it has applied.
_OURS = """
with ours as (select c.* from pg_class c
               where c.relnamespace = current_schema()::regnamespace
                 and c.relname !~ '^schema_migration')"""
_CATALOG = f"""
{_OURS}
select 'function ' || p.oid::regprocedure as name, pg_get_functiondef(p.oid) as text
  from pg_proc p where p.pronamespace = current_schema()::regnamespace
union all
select 'relation ' || c.relname, concat_ws(' ', c.relkind::text, 'persistence', c.relpersistence,
           'with', c.reloptions, 'secured', c.relrowsecurity, 'on', c.relreplident,
           pg_get_viewdef(case when c.relkind in ('v', 'm') then c.oid end))
  from ours c
union all
select 'column ' || c.relname || '.' || a.attname, concat_ws(' ',
           'number', row_number() over (partition by c.oid order by a.attnum),
           format_type(a.atttypid, a.atttypmod), 'not null', a.attnotnull,
           'default', pg_get_expr(d.adbin, d.adrelid), 'identity', nullif(a.attidentity, ''),
           'generated', nullif(a.attgenerated, ''), 'collation', a.attcollation::regcollation,
           'storage', a.attstorage, 'compression', nullif(a.attcompression, ''),
           'statistics', a.attstattarget, 'with', a.attoptions)
  from ours c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
 where c.relkind = 'r'
union all
select 'constraint ' || c.relname || '.' || o.conname,
       concat_ws(' ', pg_get_constraintdef(o.oid), 'valid', o.convalidated)
  from ours c join pg_constraint o on o.conrelid = c.oid
union all
select 'index ' || c.relname, concat_ws(' ', pg_get_indexdef(i.indexrelid), 'valid', i.indisvalid,
                                        'clustered', i.indisclustered)
  from ours c join pg_index i on i.indexrelid = c.oid
union all
select 'sequence ' || c.relname, concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement,
                                           s.seqmax, s.seqmin, s.seqcache, s.seqcycle)
  from ours c join pg_sequence s on s.seqrelid = c.oid
union all
select 'trigger ' || c.relname || '.' || t.tgname,
       concat_ws(' ', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled)
  from ours c join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
union all
select 'type ' || t.typname, concat_ws(' ', t.typtype, t.typbasetype::regtype)
  from pg_type t
 where t.typnamespace = current_schema()::regnamespace and t.typtype not in ('c', 'b')"""
# The rows that a new database begins with, but for their times.
_COLUMNS = f"""
{_OURS}
select c.relname as table, array_agg(quote_ident(a.attname) order by a.attnum) as columns
  from ours c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relkind = 'r' and a.atttypid <> 'timestamptz'::regtype
 group by c.relname"""


@pytest_asyncio.fixture
async def migrated(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database that the migrations made."""
    async with pool.acquire() as connection:
        yield connection


@pytest_asyncio.fixture
async def written(postgres: Postgres) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database that is made from ``store/schema/``."""
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("drop database if exists from_schema")
    await admin.execute("create database from_schema")
    await admin.close()
    connection = await asyncpg.connect(postgres.dsn("from_schema"))
    await connection.execute("create schema warouter; set search_path to warouter, pg_temp")
    await connection.execute("set check_function_bodies = off")  # their tables come after them
    for path in (*FUNCTIONS.glob("*.sql"), *TABLES.glob("*.sql")):
        await connection.execute(path.read_text("utf-8"))
    yield connection
    await connection.close()


async def describe(connection: asyncpg.Connection) -> dict[str, str]:
    """All that the schema holds, by name."""
    rows = await connection.fetch(_CATALOG)
    found = {row["name"]: row["text"] for row in rows}
    assert len(found) == len(rows)
    for row in await connection.fetch(_COLUMNS):
        columns = ", ".join(name for name in row["columns"] if name != "shown_key")  # is drawn
        sql = f"select row({columns})::text from {row['table']} order by 1"
        found[f"rows of {row['table']}"] = "\n".join(r[0] for r in await connection.fetch(sql))
    return found


def differences(migrations: dict[str, str], schema: dict[str, str]) -> list[str]:
    """One sentence, or one diff, for each thing that the two do not have in common."""
    said = []
    for name in sorted(migrations.keys() | schema.keys()):
        made, text = migrations.get(name), schema.get(name)
        if text is None:
            said.append(f"{name}: made by the migrations, not in store/schema")
        elif made is None:
            said.append(f"{name}: in store/schema, not made by the migrations")
        elif made != text:
            lines = difflib.unified_diff(
                made.splitlines(), text.splitlines(), "migrations", "store/schema", n=1, lineterm=""
            )
            said.append("\n".join((f"{name}: differs", *lines)))
    return said


async def test_the_migrations_make_what_the_schema_says(
    migrated: asyncpg.Connection, written: asyncpg.Connection
) -> None:
    found = differences(await describe(migrated), await describe(written))
    assert not found, "\n".join(found)


# What is done to a database, and what is then said to differ.
_CHANGES = (
    (
        "create or replace function hold_term(p_term bigint, p_incarnation uuid) returns void"
        " language plpgsql volatile as $$ begin end $$",
        "function hold_term(bigint,uuid): differs",
    ),
    ("alter function next_number(bigint) stable", "function next_number(bigint): differs"),
    (
        "alter function prune(uuid, smallint[], bigint[], interval, integer) reset enable_seqscan",
        "function prune(uuid,smallint[],bigint[],interval,integer): differs",
    ),
    ("drop function beat(uuid, boolean)", "function beat(uuid,boolean): {here}"),
    ("create function more() returns int return 1", "function more(): {there}"),
    ("drop index contact_valid", "index contact_valid: {here}"),
    (
        "drop index contact_valid; create index contact_valid on contact (checked_at)",
        "index contact_valid: differs",
    ),
    ("alter table beat set (fillfactor = 51)", "relation beat: differs"),
    ("alter table report set logged", "relation report: differs"),
    ("alter table message add column more text", "column message.more: {there}"),
    ("alter table message alter column kind drop default", "column message.kind: differs"),
    ("alter table message alter column seq type integer", "column message.seq: differs"),
    (
        "alter table profile_photo alter column data set storage extended",
        "column profile_photo.data: differs",
    ),
    ("alter table slot drop constraint slot_slot_check", "constraint slot.slot_slot_check: {here}"),
    ("alter table audit alter id set increment 2", "sequence audit_id_seq: differs"),
    (
        "alter table setting disable trigger setting_changed",
        "trigger setting.setting_changed: differs",
    ),
    ("create domain more as integer", "type more: {there}"),
    ("update shard_map set shards = 2", "rows of shard_map: differs"),
)
_HERE = "made by the migrations, not in store/schema"
_THERE = "in store/schema, not made by the migrations"


async def test_whatever_differs_is_named(migrated: asyncpg.Connection) -> None:
    """A changed copy is not taken for the same, whichever of the two was changed."""
    before = await describe(migrated)
    for change, said in _CHANGES:
        transaction = migrated.transaction()
        await transaction.start()
        await migrated.execute(PATIENT)
        await migrated.execute(change)
        after = await describe(migrated)
        await transaction.rollback()
        first = [each.splitlines()[0] for each in differences(before, after)]
        assert said.format(here=_HERE, there=_THERE) in first
        first = [each.splitlines()[0] for each in differences(after, before)]
        assert said.format(here=_THERE, there=_HERE) in first


@pytest.mark.parametrize("path", sorted(FUNCTIONS.glob("*.sql")), ids=lambda path: path.stem)
def test_a_function_is_found_by_its_name_and_names_its_callers(path: Path) -> None:
    text = path.read_text("utf-8")
    heads = re.split(r"^create function ", text, flags=re.MULTILINE)
    names = [re.match(r"\w+", rest) for rest in heads[1:]]
    assert {found and found[0] for found in names} == {path.stem}
    said = CALLED_BY.findall(text)
    assert len(said) == len(names), "each definition says in its comment who calls it"
    callers = {one.strip() for each in said for one in each.replace("\n--", "").split(", ")}
    for caller in callers - {
        each for each in callers if each.startswith(("builds ", "the trigger"))
    }:
        source = STORE.parent / caller if "/" in caller else FUNCTIONS / f"{caller}.sql"
        assert re.search(rf"\b{path.stem}\b", source.read_text("utf-8")), caller
    assert callers >= {each.stem for each in FUNCTIONS.glob("*.sql") if _calls(each, path.stem)}


def _calls(path: Path, name: str) -> bool:
    """Whether a function calls another one."""
    lines = re.sub("--.*", "", path.read_text("utf-8"))
    return re.search(rf"(?<!function )\b{name}\(", lines) is not None

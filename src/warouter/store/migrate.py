"""Migrations: numbered SQL files, applied in order, once, under an advisory lock.

A file is never changed once released: its checksum is kept and compared. Files only add, and each
says in its first lines which builds may still run on the schema after it:

    -- runs with: 2        builds whose newest file is 0002 or later

A file that does not say so needs itself. So a schema is brought forward while an older build
carries traffic (``store.roles.stepwise``). Where the schema has an owner without a login, files run
in its name, and each login is given its rights to what they made. Indexes on large tables are in a
file of their own,

    -- outside a transaction        each of its statements by itself

all ``create index concurrently if not exists``, which no writer waits for. What a try that was
broken off left of one is dropped first: it would count as there, and serve nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib import resources
from typing import NamedTuple

import asyncpg
import msgspec

from warouter._hash import HASH_NAME, HASH_VERSION
from warouter.config import Settings
from warouter.errors import CommandError, lacking
from warouter.log import use_key
from warouter.store import locks
from warouter.store.database import Connection, connect
from warouter.store.roles import catalogue
from warouter.store.roles.create import settle_new
from warouter.store.roles.rights import quoted
from warouter.store.roles.stepwise import TRY_SECONDS, again, patiently

_APPLICATION = "warouter migrate"
# A file may take its time, and so may a busy machine between two statements.
_UNBOUNDED = {"idle_in_transaction_session_timeout": "0", "transaction_timeout": "0"}
_TABLE = """
create table if not exists schema_migration (
    version    integer primary key,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default now(),
    runs_with  integer
)"""
# Databases from before files said what they run with; builds from then go on beside it.
_HAS_RUNS_WITH = """
select exists (select 1 from pg_attribute
                where attrelid = 'schema_migration'::regclass and attname = 'runs_with')"""
_ADD_RUNS_WITH = "alter table schema_migration add column runs_with integer"
# Through jsonb, since the column may not be there yet.
_APPLIED = """
select version, name, checksum, (to_jsonb(m) ->> 'runs_with')::integer as runs_with
  from schema_migration m order by version"""
_INSERT = """
insert into schema_migration (version, name, checksum, runs_with) values ($1, $2, $3, $4)"""
_RUNS_WITH = re.compile(r"^-- runs with: (\d+)$")
_OUTSIDE = "-- outside a transaction"
_INDEX = re.compile(r"create index concurrently if not exists (\w+)\s")
_BROKEN = """
select exists (select from pg_index i join pg_class c on c.oid = i.indexrelid
                where c.relnamespace = current_schema()::regnamespace and c.relname = $1
                  and not i.indisvalid)"""
# Of two who migrate. Not pg_advisory_lock: an index would wait for whoever waits in a statement.
_TURN = "select pg_try_advisory_lock($1, 0)"
TURN_SECONDS = 0.2


_NO_SCHEMA = "select not exists (select from pg_namespace where nspname = $1)"
# Who may not look into the schema, though it is there.
_SHUT_OUT = """
select current_user from pg_namespace
 where nspname = split_part(current_setting('search_path'), ',', 1)
   and not has_schema_privilege(oid, 'usage')"""

# Advisory locks and NOTIFY are a whole database's: of two clusters in one, one would get no leader.
# A table is known by its name in the catalogue, which needs no right to the schema it is in.
_ANOTHER = """
select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relname in ('schema_migration', 'owner_log') and c.relkind = 'r' and n.nspname <> $1
 group by 1 having count(*) = 2 order by 1 limit 1"""


class Migration(NamedTuple):
    version: int
    name: str
    sql: str

    @property
    def runs_with(self) -> int:
        """Number of the newest migration of the oldest build that
        can run on the resulting schema.
        """
        for line in self._head:
            if found := _RUNS_WITH.match(line):
                return int(found[1])
        return self.version

    @property
    def indexes(self) -> dict[str, str]:
        """The statements of a file that runs outside a transaction,
        by the index that each creates.
        """
        if _OUTSIDE not in self._head:
            return {}
        lines = [line for line in self.sql.splitlines() if not line.startswith("--")]
        statements = [each.strip() for each in "\n".join(lines).split(";")]
        found = {each: _INDEX.match(each) for each in statements if each}
        if wrong := [each for each, made in found.items() if made is None]:
            raise CommandError(
                f"{self.name}: outside a transaction there may only be"
                f" CREATE INDEX CONCURRENTLY IF NOT EXISTS, not: {wrong[0]}"
            )
        return {made[1]: each for each, made in found.items() if made is not None}

    @property
    def _head(self) -> list[str]:
        """The comment that the file begins with."""
        return list(itertools.takewhile(lambda line: line.startswith("--"), self.sql.splitlines()))

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


class Applied(NamedTuple):
    """A migration as the database recorded it; ``runs_with`` is None if it was not recorded."""

    version: int
    name: str
    checksum: str
    runs_with: int | None


def migrations() -> list[Migration]:
    """The migrations of this build, in order."""
    folder = resources.files("warouter.store") / "migrations"
    files = sorted(p.name for p in folder.iterdir() if p.name.endswith(".sql"))
    return [Migration(int(n[:4]), n, (folder / n).read_text("utf-8")) for n in files]


async def migrate(settings: Settings) -> list[str]:
    """Bring the database to the schema of this build; returns the names of the applied files.

    Creates the database and the schema when they are missing, and may run while an older build
    carries traffic. CommandError when this build cannot run on a newer schema, when an applied
    file has changed, when the locks of a file cannot be had, or when another schema of the
    database has a cluster in it.
    """
    await _ensure_database(settings)
    async with administering(settings) as connection:
        if login := await connection.fetchval(_SHUT_OUT):
            raise CommandError(
                f"{login} has no right to use schema {settings.db_schema}: run `warouter migrate`"
                " as a superuser, or as who owns it."
            )
        if other := await connection.fetchval(_ANOTHER, settings.db_schema):
            raise CommandError(
                f"Schema {other} of database {settings.database} has a cluster in it already, and"
                " two in one database would share their locks: give this one a database of its own"
                " (WAROUTER_DB_NAME)."
            )
        names = await catalogue.recorded(connection)
        await act_as_owner(connection)
        if await connection.fetchval(_NO_SCHEMA, settings.db_schema):
            await connection.execute(f'create schema if not exists "{settings.db_schema}"')
        await connection.execute(_TABLE)
        if not await connection.fetchval(_HAS_RUNS_WITH):
            await _run(connection, "schema_migration.runs_with", _ADD_RUNS_WITH)
        applied = await _applied(connection)
        _compare(applied)
        made = []
        for migration in migrations():
            if migration.version not in applied:
                await _apply(connection, migration)
                made.append(migration.name)
        await settle_new(connection, names)
        return made


@asynccontextmanager
async def administering(settings: Settings) -> AsyncIterator[Connection]:
    """A session of whoever changes the schema, alone for as long as it lasts."""
    connection = await connect(settings, _APPLICATION, **_UNBOUNDED)
    try:
        await _take_turn(connection)
        yield connection
    finally:
        await connection.close()


async def check(connection: Connection) -> None:
    """Refuse to start on a schema or hash that does not fit this build, and say what to do.

    A newer schema is one for this build if all its newer files say so.
    """
    if await connection.fetchval("select to_regclass('schema_migration')") is None:
        if login := await connection.fetchval(_SHUT_OUT):
            raise CommandError(lacking(f"login {login} has no right to use the schema"))
        raise CommandError("The database has no schema yet: run `warouter migrate`.")
    applied = await _applied(connection)
    _compare(applied)
    missing = [m.name for m in migrations() if m.version not in applied]
    if missing:
        raise CommandError(
            f"The database's schema is older than this build ({missing[0]} is not applied):"
            " run `warouter migrate`."
        )
    found = await connection.fetchrow("select hash_name, hash_version, shown_key from format")
    stored = None if found is None else found[:2]
    if found is None or stored != (HASH_NAME, HASH_VERSION):
        raise CommandError(
            f"The database was written with the hash {stored}, this build"
            f" has {(HASH_NAME, HASH_VERSION)}: messages would change their slot."
            " Use the build that wrote it."
        )
    use_key(found["shown_key"])


async def _ensure_database(settings: Settings) -> None:
    try:
        connection = await connect(settings, _APPLICATION)
    except asyncpg.InvalidCatalogNameError:
        elsewhere = msgspec.structs.replace(settings, db_name="postgres")
        connection = await connect(elsewhere, _APPLICATION, **_UNBOUNDED)
        name = await connection.fetchval("select quote_ident($1)", settings.database)
        with suppress(asyncpg.DuplicateDatabaseError):  # another migration was faster
            await connection.execute(f"create database {name}")
    await connection.close()


async def _applied(connection: Connection) -> dict[int, Applied]:
    return {row["version"]: Applied(*row) for row in await connection.fetch(_APPLIED)}


def _compare(applied: dict[int, Applied]) -> None:
    known = {m.version: m for m in migrations()}
    newest = max(known)
    for version, found in applied.items():
        migration = known.get(version)
        if migration is not None and migration.checksum != found.checksum:
            raise CommandError(
                f"Migration {found.name} differs from the one that was applied:"
                " restore the released file."
            )
        if migration is None and (found.runs_with is None or found.runs_with > newest):
            raise CommandError(
                f"The database is newer than this build (it has {found.name}, this build ends with"
                f" {known[newest].name}), and this build cannot run on it:"
                " install the warouter that brought that file, or a newer one."
            )


async def act_as_owner(connection: Connection) -> None:
    """Let all that is made from here on belong to the owner of the schema, who has no login."""
    owner = await catalogue.owner(connection)
    if owner is None:
        return
    try:
        await connection.execute(f"set role {quoted(owner)}")
    except asyncpg.InsufficientPrivilegeError as error:
        who = await connection.fetchval("select session_user")
        raise CommandError(
            f"{who} may not act as {owner}, who owns the schema: run `warouter migrate` as a"
            f" superuser, or as a member of {owner}."
        ) from error


async def _take_turn(connection: Connection) -> None:
    while True:
        if await connection.fetchval(_TURN, locks.MIGRATE):
            return
        await asyncio.sleep(TURN_SECONDS)


async def _apply(connection: Connection, migration: Migration) -> None:
    indexes = migration.indexes
    for index, sql in indexes.items():
        await again(connection, migration.name, partial(_build, connection, index, sql))
    sql = "" if indexes else migration.sql
    await _run(connection, migration.name, sql, migration)


async def _build(connection: Connection, index: str, sql: str) -> None:
    """Build an index concurrently: it waits for older
    transactions, but blocks only other schema changes.
    """
    await connection.execute(f"set lock_timeout = '{TRY_SECONDS:g}s'")
    if await connection.fetchval(_BROKEN, index):
        await connection.execute(f"drop index concurrently {index}")
    await connection.execute(sql)


async def _run(
    connection: Connection, name: str, sql: str, migration: Migration | None = None
) -> None:
    """Run SQL, and record the migration that it is of, in one transaction."""

    async def change() -> None:
        if sql:
            await connection.execute(sql)
        if migration is not None:
            await connection.execute(_INSERT, *_row(migration))

    await patiently(connection, name, change)


def _row(migration: Migration) -> tuple[int, str, str, int]:
    return migration.version, migration.name, migration.checksum, migration.runs_with

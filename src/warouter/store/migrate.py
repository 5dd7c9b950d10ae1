"""``warouter migrate``: brings a database to the schema of this build, step by step, once.

Steps are applied in order, under an advisory lock, each with its row in ``schema_migration`` in one
transaction. Its checksum is kept there and compared: a released step never changes. The schema is
brought forward while an older build carries traffic (``store.roles.stepwise``). Where it has an
owner without a login, steps run in its name, and each login is given its rights to what they made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import NamedTuple

import asyncpg
import msgspec

from warouter._hash import HASH_NAME, HASH_VERSION
from warouter.config import Settings
from warouter.errors import CommandError, lacking
from warouter.log import use_key
from warouter.store import locks
from warouter.store.database import Connection, connect
from warouter.store.migrations import BASELINE, Migration, migrations
from warouter.store.roles import catalogue
from warouter.store.roles.create import settle_new
from warouter.store.roles.rights import quoted
from warouter.store.roles.stepwise import TRY_SECONDS, again, patiently

_APPLICATION = "warouter migrate"
# A step may take its time, and so may a busy machine between two statements.
_UNBOUNDED = {"idle_in_transaction_session_timeout": "0", "transaction_timeout": "0"}
_TABLE = """
create table if not exists schema_migration (
    version    integer primary key,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default now(),
    runs_with  integer not null
)"""
_APPLIED = """
select version, name, checksum, runs_with from schema_migration order by version"""
_INSERT = """
insert into schema_migration (version, name, checksum, runs_with) values ($1, $2, $3, $4)"""
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


class Applied(NamedTuple):
    """A step as the database recorded it."""

    version: int
    name: str
    checksum: str
    runs_with: int


async def migrate(settings: Settings) -> list[str]:
    """Bring the database to the schema of this build; returns the names of the applied steps.

    Creates the database and the schema when they are missing, and may run while an older build
    carries traffic. CommandError when this build cannot run on a newer schema, when an applied
    step has changed, when the locks of a step cannot be had, or when another schema of the
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
        made = await _apply_missing(connection)
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
    steps = migrations()
    _compare(applied, steps)
    missing = [step.name for step in steps if step.version not in applied]
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


def _compare(applied: dict[int, Applied], steps: Sequence[Migration]) -> None:
    known = {step.version: step for step in steps}
    newest = max(known)
    for version, found in applied.items():
        migration = known.get(version)
        if migration is not None and migration.checksum != found.checksum:
            raise CommandError(_differs(migration, found))
        if migration is None and found.runs_with > newest:
            raise CommandError(
                f"The database is newer than this build (it has {found.name}, this build ends with"
                f" {known[newest].name}), and this build cannot run on it:"
                " install the warouter that brought it, or a newer one."
            )


def _differs(migration: Migration, found: Applied) -> str:
    if migration.name == BASELINE:
        return (
            "The database was made by a build whose baseline is another one: drain it with that"
            " build, then begin with an empty database."
        )
    return (
        f"Migration {found.name} differs from the one that was applied: use the build that applied"
        " it, or begin with an empty database."
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


async def _apply_missing(connection: Connection) -> list[str]:
    """Apply the steps that are not applied yet; returns their names."""
    applied = await _applied(connection)
    steps = migrations()
    _compare(applied, steps)
    made = []
    for migration in steps:
        if migration.version not in applied:
            await _apply(connection, migration)
            made.append(migration.name)
    return made


async def _apply(connection: Connection, migration: Migration) -> None:
    for index, statement in migration.indexes.items():
        build = partial(_build, connection, index, statement)
        await again(connection, migration.name, build)

    async def change() -> None:
        if not migration.indexes:
            await connection.execute(migration.sql)
        row = migration.version, migration.name, migration.checksum, migration.runs_with
        await connection.execute(_INSERT, *row)

    await patiently(connection, migration.name, change)


async def _build(connection: Connection, index: str, sql: str) -> None:
    """Build an index concurrently: waits for older transactions, blocks only schema changes."""
    await connection.execute(f"set lock_timeout = '{TRY_SECONDS:g}s'")
    if await connection.fetchval(_BROKEN, index):
        await connection.execute(f"drop index concurrently {index}")
    await connection.execute(sql)

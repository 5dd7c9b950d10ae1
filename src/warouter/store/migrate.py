"""Migrations: numbered plain SQL files, applied in order, once, under an advisory lock.

A file is never changed once released: its checksum is kept and compared.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from importlib import resources
from typing import NamedTuple

import asyncpg

from warouter._hash import HASH_NAME, HASH_VERSION
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.store import locks
from warouter.store.database import Connection, connect_arguments
from warouter.store.servers import open_writable

_TABLE = """
create table if not exists schema_migration (
    version    integer primary key,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default now()
)"""


class Migration(NamedTuple):
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """The files of this build, in order."""
    folder = resources.files("warouter.store") / "migrations"
    files = sorted(p.name for p in folder.iterdir() if p.name.endswith(".sql"))
    return [Migration(int(n[:4]), n, (folder / n).read_text("utf-8")) for n in files]


async def migrate(settings: Settings) -> list[str]:
    """Bring the database to this build's schema; returns the names of the files applied.

    Creates the database and the schema when they are missing. CommandError when the database is
    newer than this build, or when an applied file has changed.
    """
    await _ensure_database(settings)
    connection = await open_writable(
        settings.db_servers, **connect_arguments(settings), timeout=10.0
    )
    try:
        await connection.execute("select pg_advisory_lock($1, 0)", locks.MIGRATE)
        schema = settings.db_schema
        await connection.execute(f'create schema if not exists "{schema}"')
        await connection.execute("select set_config('search_path', $1, false)", schema)
        await connection.execute(_TABLE)
        applied = await _applied(connection)
        _compare(applied)
        names = []
        for migration in migrations():
            if migration.version not in applied:
                await _apply(connection, migration)
                names.append(migration.name)
        return names
    finally:
        await connection.close()


async def check(connection: Connection) -> None:
    """Refuse to start on another schema or another hash than this build's; says what to do."""
    if await connection.fetchval("select to_regclass('schema_migration')") is None:
        raise CommandError("The database has no schema yet: run `warouter migrate`.")
    applied = await _applied(connection)
    _compare(applied)
    missing = [m.name for m in migrations() if m.version not in applied]
    if missing:
        raise CommandError(
            f"The database's schema is older than this build ({missing[0]} is not applied):"
            " run `warouter migrate`."
        )
    stored = await connection.fetchrow("select hash_name, hash_version from format")
    if stored is None or tuple(stored) != (HASH_NAME, HASH_VERSION):
        raise CommandError(
            f"The database was written with the hash {stored and tuple(stored)}, this build"
            f" has {(HASH_NAME, HASH_VERSION)}: messages would change their slot."
            " Use the build that wrote it."
        )


async def _ensure_database(settings: Settings) -> None:
    arguments = connect_arguments(settings) | {"timeout": 10.0}
    try:
        connection = await open_writable(settings.db_servers, **arguments)
    except asyncpg.InvalidCatalogNameError:
        connection = await open_writable(
            settings.db_servers, **arguments | {"database": "postgres"}
        )
        name = await connection.fetchval("select quote_ident($1)", settings.database)
        with suppress(asyncpg.DuplicateDatabaseError):  # another migration was faster
            await connection.execute(f"create database {name}")
    await connection.close()


async def _applied(connection: Connection) -> dict[int, tuple[str, str]]:
    rows = await connection.fetch("select version, name, checksum from schema_migration")
    return {row["version"]: (row["name"], row["checksum"]) for row in rows}


def _compare(applied: dict[int, tuple[str, str]]) -> None:
    known = {m.version: m for m in migrations()}
    for version, (name, checksum) in sorted(applied.items()):
        migration = known.get(version)
        if migration is None:
            raise CommandError(
                f"The database is newer than this build (it has {name}):"
                " install the newer warouter."
            )
        if migration.checksum != checksum:
            raise CommandError(
                f"Migration {name} differs from the one that was applied:"
                " restore the released file."
            )


async def _apply(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "insert into schema_migration (version, name, checksum) values ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.checksum,
        )

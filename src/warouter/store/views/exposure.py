"""Reads for `warouter check` what is not of sessions: versions, sizes, passwords.

What this login may not read is named in ``unseen`` and None.
"""

from __future__ import annotations

from typing import Any

import msgspec

from warouter.app_settings import APPLICATION, EXTERNAL_CERTIFICATE, WEBHOOK_CA
from warouter.store import server_settings
from warouter.store.database import Connection, settings_found
from warouter.store.views.permitted import permitted
from warouter.store.views.server import Server
from warouter.store.views.status import DATABASE_SQL
from warouter.stored import decoded

_SERVER = """
select current_setting('server_version') as version,
       current_setting('password_encryption') as password_encryption,
       current_setting('max_connections')::integer as max_connections,
       current_setting('superuser_reserved_connections')::integer
           + coalesce(current_setting('reserved_connections', true), '0')::integer as reserved,
       pg_size_bytes(current_setting('shared_buffers')) as shared_buffers,
       pg_size_bytes(current_setting('max_wal_size')) as max_wal_size,
       (select count(*) from pg_stat_activity
         where datid is not null and coalesce(backend_type, 'client backend') = 'client backend')
           as connections"""
_SHARDS = "select shards from shard_map"
_SCHEMA = "select max(version) from schema_migration"
_MD5 = """
select rolname::text from pg_authid
 where rolcanlogin and rolpassword like 'md5%' and rolname in
       (select usename from pg_stat_activity where datname = current_database())
 order by 1"""
_AUTHID = "rolname rolcanlogin rolpassword"
_DEFAULT_PASSWORDS = "select username from user_account where must_change order by 1"
_SETTINGS = """
select name, value::text as value from setting where number = $1 and name = any ($2::text[])"""


class StoredSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a number that the API wrote, as they are in the database; {} for none."""

    application: Any
    certificate: Any
    webhook_ca: Any


async def read_server(connection: Connection) -> Server:
    """Read it; raises asyncpg's errors but for what may not be read."""
    row = await connection.fetchrow(_SERVER)
    assert row is not None
    found = await settings_found(connection, list(server_settings.WARNED))
    unseen: list[str] = []
    held = await permitted(connection, DATABASE_SQL)
    if held is None:
        unseen.append("sessions")
    return Server(
        **row,
        oldest_transaction_s=held[0]["held_s"] if held else 0.0,
        oldest_transaction_by=(held[0]["held_by"] if held else "") or "unnamed",
        dangers=tuple(server_settings.dangers(found)),
        shards=await _value(connection, _SHARDS, "shard_map", "shards", unseen),
        schema=await _value(connection, _SCHEMA, "schema_migration", "version", unseen),
        md5=await _names(connection, _MD5, "pg_authid", _AUTHID, unseen),
        default_passwords=await _names(
            connection, _DEFAULT_PASSWORDS, "user_account", "username must_change", unseen
        ),
        unseen=tuple(unseen),
    )


async def read_stored(connection: Connection, number: int) -> StoredSettings | None:
    """The settings of a number; None if this login may not read them."""
    names = [APPLICATION, EXTERNAL_CERTIFICATE, WEBHOOK_CA]
    rows = await permitted(
        connection, _SETTINGS, number, names, table="setting", columns="name value number"
    )
    if rows is None:
        return None
    found = {row["name"]: decoded(row["value"]) for row in rows}
    return StoredSettings(
        application=found.get(APPLICATION, {}),
        certificate=found.get(EXTERNAL_CERTIFICATE, {}),
        webhook_ca=found.get(WEBHOOK_CA, {}),
    )


async def _names(
    connection: Connection, sql: str, table: str, columns: str, unseen: list[str]
) -> tuple[str, ...] | None:
    rows = await permitted(connection, sql, table=table, columns=columns)
    if rows is None:
        unseen.append(table)
        return None
    return tuple(row[0] for row in rows)


async def _value(
    connection: Connection, sql: str, table: str, columns: str, unseen: list[str]
) -> int:
    rows = await permitted(connection, sql, table=table, columns=columns)
    if not rows:
        unseen.append(table)
        return 0
    return int(rows[0][0] or 0)

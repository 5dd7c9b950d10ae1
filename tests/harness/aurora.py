"""A database whose WAL functions fail, as on Amazon Aurora with its default ``wal_level``.

PostgreSQL's own are renamed, and those that stand in for them raise; so whoever calls one, from
whichever ``search_path``, is answered as there.
"""

from __future__ import annotations

from typing import NamedTuple

import asyncpg


class Refusal(NamedTuple):
    sqlstate: str
    says: str
    hint: str = ""


TODAY = Refusal(
    "55000",
    "wal_level must be set to 'logical'",
    "WAL control functions cannot be executed when wal_level < logical.",
)
OLDER = Refusal("0A000", "Function pg_current_wal_lsn() is currently not supported for Aurora")
_FUNCTIONS = """
select p.oid::regprocedure::text as signature, p.proname as name,
       pg_get_function_identity_arguments(p.oid) as arguments
  from pg_proc p
 where p.pronamespace = 'pg_catalog'::regnamespace
   and p.proname ~ '^(pg_current_wal_|pg_wal_lsn_diff|pg_walfile_name|pg_switch_wal|pg_control_)'"""


async def like_aurora(dsn: str, refusal: Refusal) -> list[str]:
    """In the database of ``dsn``, a superuser's. Returns the names of what fails from now on."""
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetch(_FUNCTIONS)
        async with connection.transaction():
            for row in found:
                await connection.execute(_replaced(*row, refusal))
        return [row["name"] for row in found]
    finally:
        await connection.close()


def _replaced(signature: str, name: str, arguments: str, refusal: Refusal) -> str:
    says, hint = (text.replace("'", "''") for text in (refusal.says, refusal.hint))
    ins = ", ".join(a for a in arguments.split(", ") if a and not a.startswith("OUT "))
    return f"""
        alter function {signature} rename to {name}_of_postgres;
        create function pg_catalog.{name}({ins}) returns {_RETURNS.get(name, "record")}
        language plpgsql as $$
        begin
            raise exception '{says}' using errcode = '{refusal.sqlstate}', hint = '{hint}';
        end $$"""


_RETURNS = {
    "pg_current_wal_flush_lsn": "pg_lsn",
    "pg_current_wal_insert_lsn": "pg_lsn",
    "pg_current_wal_lsn": "pg_lsn",
    "pg_switch_wal": "pg_lsn",
    "pg_wal_lsn_diff": "numeric",
    "pg_walfile_name": "text",
}

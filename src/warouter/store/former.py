"""Databases from before the baseline, made in steps that are gone. Goes with the tag of 0.3.0.

The schema after the last of those is the baseline, but for what served nobody any more.
"""

from __future__ import annotations

import re

from warouter.errors import CommandError
from warouter.store.database import Connection
from warouter.store.migrations import SCHEMA, UNCHECKED, sql_in

_FIRST = "0001_initial.sql"
LAST = ("0074_spared.sql", "5273d01af5f99f3c8b7903f976c549ce85d2947c022c2bddc7e081c0dacec856")
# The last build with those steps.
_COMMIT = "74655be6"
_NEWEST = """
select name, checksum from schema_migration
 where exists (select from schema_migration where name = $1) order by version desc limit 1"""
_TO_BASELINE = """
alter table schema_migration alter column runs_with set not null;
delete from schema_migration;
update node set upstream = coalesce(upstream, 'simulator'), certificate = coalesce(certificate, '');
alter table node alter column upstream set not null, alter column certificate set not null;
update parked_message set parked_at = now() where parked_at is null;
update parked_message set look_at = due_at where look_at = '-infinity';
alter table parked_message alter column look_at drop default,
    alter column parked_at set default now(), alter column parked_at set not null;
update parked_event set parked_at = now() where parked_at is null;
update parked_event set look_at = due_at where look_at = '-infinity';
alter table parked_event alter column look_at drop default,
    alter column parked_at set default now(), alter column parked_at set not null;
alter table cloud_pause drop column if exists one;
alter table audit disable trigger user;
delete from audit where hash is null;
alter table audit enable trigger user, alter column hash set not null;
alter table audit_chain drop constraint audit_chain_check, drop column if exists began_after;
alter table audit_chain add check (tail_id <= head_id);
drop function if exists switch_upstream(text, boolean);
drop function if exists lead_parked(uuid, smallint[], bigint[], integer);
drop function if exists beat_with_moves(uuid, boolean, uuid[], boolean, boolean);
drop function if exists beat(uuid, boolean);
drop function if exists beat(uuid, boolean, uuid[]);
drop function if exists beat(uuid, boolean, uuid[], boolean);
drop function if exists beat(uuid, boolean, uuid[], boolean, boolean);
drop function if exists end_leader();
drop function if exists attempt_failed(text, text, integer, float8, float8, float8);
drop function if exists name_successors(bigint, uuid, smallint[], bigint[], uuid[], uuid, integer);
drop function if exists register_node(
    uuid, text, text, text, integer, bytea, text, text, text, integer, integer);
drop function if exists register_node(
    uuid, text, text, text, integer, bytea, text, text, text, integer, integer, text);
"""


async def is_former(connection: Connection) -> bool:
    """True if the schema came to be in the former steps.

    CommandError if the last of them is missing.
    """
    newest = await connection.fetchrow(_NEWEST, _FIRST)
    if newest is not None and tuple(newest) != LAST:
        raise CommandError(
            f"The schema is from before the baseline, and ends with {newest['name']}: run `warouter"
            f" migrate` of commit {_COMMIT} first, or begin with an empty database."
        )
    return newest is not None


def to_baseline() -> str:
    """SQL that makes the schema after the last former step the baseline, and forgets the steps."""
    functions = sql_in(SCHEMA / "functions")
    replaced = re.sub(r"^create function", "create or replace function", functions, flags=re.M)
    return UNCHECKED + _TO_BASELINE + replaced

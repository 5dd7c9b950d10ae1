"""What is watched from inside the database.

I2: who wrote to a slot, and did it own the slot then?
Triggers compare the incarnation in the session's name with the owner of each slot that a statement
touched. In the product a writer holds the slot's lock until its commit, so the owner that the
trigger reads is the owner at the commit.

Doubts: when a message's issue row came to be one in doubt, and what became of it.
"""

from __future__ import annotations

import asyncpg

_TABLES = (
    ("message", "insert"),
    ("event", "insert"),
    ("send_cursor", "update"),
    ("event_cursor", "update"),
)
_FUNCTION = """
create table stale_write (at timestamptz default clock_timestamp(), what text, slot smallint,
                          writer text, owner uuid);
create function audit_writer() returns trigger language plpgsql security definer as $$
declare
    writer text := substr(current_setting('application_name'), 4, 32);
begin
    insert into stale_write (what, slot, writer, owner)
    select distinct tg_table_name, r.slot, writer, s.owner
      from rows r join slot s on s.slot = r.slot
     where s.owner is null or replace(s.owner::text, '-', '') <> writer;
    return null;
end $$"""
_TRIGGER = """
create trigger audit_{table} after {event} on {table} referencing new table as rows
    for each statement execute function audit_writer()"""

_DOUBTS = """
create table doubt_log (at timestamptz default clock_timestamp(), id bytea, cause text,
                        was smallint, became smallint);
create function audit_doubt() returns trigger language plpgsql security definer as $$
begin
    insert into doubt_log (id, cause, was, became)
    values (coalesce(new.id, old.id), coalesce(new.cause, old.cause), old.state, new.state);
    return null;
end $$;
create trigger audit_new after insert on send_issue
    for each row when (new.state = 2) execute function audit_doubt();
create trigger audit_state after update on send_issue
    for each row when (old.state <> new.state and 2 in (old.state, new.state))
    execute function audit_doubt();
create trigger audit_gone after delete on send_issue
    for each row when (old.state = 2) execute function audit_doubt()"""


async def install(connection: asyncpg.Connection) -> None:
    """Begin to watch."""
    await connection.execute(_FUNCTION)
    for table, event in _TABLES:
        await connection.execute(_TRIGGER.format(table=table, event=event))
    await watch_doubts(connection)


async def watch_doubts(connection: asyncpg.Connection) -> None:
    """Note in ``doubt_log`` when a message comes to be in doubt, and what becomes of it."""
    await connection.execute(_DOUBTS)


async def stale_writes(connection: asyncpg.Connection) -> list[str]:
    """What was written by somebody who did not own the slot any more."""
    rows = await connection.fetch("select what, count(*) as n from stale_write group by what")
    return [f"{r['n']} stale writes to {r['what']}" for r in rows]

"""Metrics of the cluster from the database, for /v1/stats/db. Cheap on large tables.

No journal is read from end to end: sizes come from first and last seq, backlogs from the open
intervals of the cursors, tables of waiting rows are counted up to a limit, the rest is statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from warouter.kinds import EVENT_KINDS, EVENT_TYPES
from warouter.metrics import Sample
from warouter.store import locks
from warouter.store.bounded import connection
from warouter.store.cached_reading import CachedReading
from warouter.store.database import Source
from warouter.store.views.backlog import (
    BACKLOG_SQL,
    CALLBACKS_SQL,
    MOST_COUNTED,
    OLDEST_EVENTS_SQL,
    OLDEST_SQL,
)
from warouter.store.views.status import DATABASE_SQL

KEEP_SECONDS = 3.0  # several scrapers, one reading
SETTLED_SECONDS = 60.0  # seconds after which a change of owner is counted once and for all

_MAP = """
select m.version, m.shards, t.term,
       (select count(*) from slot where owner is null) as unowned,
       (select count(*) from slot where successor is not null) as moving
  from shard_map m, term t"""
# A master leads if the term is its own and its session with the alive lock has spoken lately.
_NODES = """
select n.name, n.role, bool_or(a.spoke) as alive,
       coalesce(bool_or(a.spoke and n.incarnation = t.incarnation), false) as leads
  from node n
  cross join term t
  left join lateral (
       select true as spoke from sessions() s
         join pg_locks l on l.pid = s.pid and l.locktype = 'advisory' and l.granted
                        and l.classid::bigint = $1 and l.objsubid = 2
        where s.datname = current_database()
          and s.application_name like 'wa:' || replace(n.incarnation::text, '-', '') || ':%'
          and s.state_change > clock_timestamp() - interval '3 seconds'
        limit 1) a on true
 group by n.name, n.role order by n.name"""
_MESSAGES = """
select coalesce(sum(l.seq - f.seq + 1), 0)::bigint
  from generate_series(0, 31) s(slot),
       lateral (select seq from message m where m.slot = s.slot order by seq limit 1) f,
       lateral (select seq from message m where m.slot = s.slot order by seq desc limit 1) l"""
_RECEIPTS = """
select coalesce(sum(l.seq - f.seq + 1), 0)::bigint
  from generate_series(0, 31) s(slot),
       lateral (select seq from event e where e.slot = s.slot and e.kind = 0
                 order by seq limit 1) f,
       lateral (select seq from event e where e.slot = s.slot and e.kind = 0
                 order by seq desc limit 1) l"""
_WAITING = f"""
select 'parked' as what, 0 as kind, count(*) as n
  from (select 1 from parked_message limit {MOST_COUNTED}) p
union all select 'events', kind, count(*)
  from (select kind from parked_event limit {MOST_COUNTED}) p group by kind
union all select 'dead', kind, count(*)
  from (select kind from dead_letter limit {MOST_COUNTED}) d group by kind"""
_CHANGES = f"""
with added as (
    select id, reason, at from owner_log where id > $1 order by id limit {MOST_COUNTED}),
bound as (
    select coalesce(max(id), $1) as id from added
     where at < clock_timestamp() - make_interval(secs => $2))
select l.reason, count(*) as n, count(*) filter (where l.id <= b.id) as settled,
       max(b.id) as last
  from added l, bound b group by l.reason"""
_CONTACTS = """
select coalesce((select case when s.n_live_tup > 0 then s.n_live_tup
                             else greatest(c.reltuples, 0) end
                   from pg_class c left join pg_stat_user_tables s on s.relid = c.oid
                  where c.oid = to_regclass('contact')), 0)::bigint"""
_SESSIONS = "select count(*) from sessions() where backend_type = 'client backend'"
_TABLES = """
select c.relname as name, pg_total_relation_size(c.oid) as bytes,
       case when s.n_live_tup > 0 then s.n_live_tup else greatest(c.reltuples, 0) end::bigint
       as rows, coalesce(s.n_dead_tup, 0) as dead_rows
  from pg_class c left join pg_stat_user_tables s on s.relid = c.oid
 where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
 order by c.relname"""


class Statistics:
    """Reads metrics once for all scrapers, and keeps the result for a short time.

    Raises what ``store.account.accounts.is_unavailable`` judges when the database does not answer.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._changes = _OwnerChanges()
        self.cluster = CachedReading(self._read_cluster, KEEP_SECONDS).get
        self.tables = CachedReading(self._read_tables, KEEP_SECONDS).get

    async def _read_cluster(self) -> list[Sample]:
        async with connection(self._pool) as taken:
            return [
                *await _shard_map(taken),
                *await _journals(taken),
                *await _waiting(taken),
                *await self._changes.read(taken),
                *await _database(taken),
            ]

    async def _read_tables(self) -> list[Sample]:
        async with connection(self._pool) as taken:
            rows = await taken.fetch(_TABLES)
        return [
            Sample(f"warouter_table_{what}", row[what], {"table": row["name"]})
            for row in rows
            for what in ("bytes", "rows", "dead_rows")
        ]


class _OwnerChanges:
    """Counts changes of owners from new rows of the owner log, a limited number per reading.

    Rows younger than a minute are counted anew each time: ids are given before the commit.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._last = 0

    async def read(self, connection: Source) -> list[Sample]:
        rows = await connection.fetch(_CHANGES, self._last, SETTLED_SECONDS)
        shown = dict(self._counts)
        for row in rows:
            shown[row["reason"]] = shown.get(row["reason"], 0) + row["n"]
            self._counts[row["reason"]] = self._counts.get(row["reason"], 0) + row["settled"]
            self._last = row["last"]
        return [
            Sample("warouter_owner_changes_total", n, {"reason": reason})
            for reason, n in sorted(shown.items())
        ]


async def _shard_map(connection: Source) -> list[Sample]:
    row = await connection.fetchrow(_MAP)
    assert row is not None
    nodes = await connection.fetch(_NODES, locks.ALIVE)
    return [
        Sample("warouter_shards", row["shards"]),
        Sample("warouter_shard_map_version", row["version"]),
        Sample("warouter_slots_unowned", row["unowned"]),
        Sample("warouter_slots_moving", row["moving"]),
        Sample("warouter_leading_masters", sum(node["leads"] for node in nodes)),
        *(
            Sample(
                "warouter_node_alive",
                int(bool(node["alive"])),
                {"node": node["name"], "role": node["role"]},
            )
            for node in nodes
        ),
    ]


async def _journals(connection: Source) -> list[Sample]:
    samples = [
        Sample("db_messages", await connection.fetchval(_MESSAGES), {"type": "undefined"}),
        Sample("db_message_receipts", await connection.fetchval(_RECEIPTS)),
        Sample("warouter_messages_oldest_seconds", await connection.fetchval(OLDEST_SQL)),
        Sample(
            "warouter_messages_unsettled",
            sum(row["waiting"] for row in await connection.fetch(BACKLOG_SQL)),
        ),
    ]
    unsettled, oldest = dict.fromkeys(EVENT_KINDS, 0), dict.fromkeys(EVENT_KINDS, 0.0)
    for row in await connection.fetch(CALLBACKS_SQL):
        unsettled[row["kind"]] += row["waiting"]
    for row in await connection.fetch(OLDEST_EVENTS_SQL):
        oldest[row["kind"]] = row["age_s"]
    contacts = await connection.fetchval(_CONTACTS)
    return [
        *samples,
        Sample("db_contacts", contacts, {"type": "whatsapp_user"}),
        *_by_type("warouter_callbacks_unsettled", unsettled),
        *_by_type("warouter_callbacks_oldest_seconds", oldest),
    ]


async def _waiting(connection: Source) -> list[Sample]:
    counts = {(row["what"], row["kind"]): row["n"] for row in await connection.fetch(_WAITING)}
    return [
        Sample("warouter_messages_parked", counts["parked", 0]),
        *(
            sample
            for name, what in (("callbacks_parked", "events"), ("dead_letters", "dead"))
            for sample in _by_type(
                f"warouter_{name}", {kind: counts.get((what, kind), 0) for kind in EVENT_KINDS}
            )
        ),
    ]


async def _database(connection: Source) -> list[Sample]:
    row = await connection.fetchrow(DATABASE_SQL)
    assert row is not None
    size = await connection.fetchval("select pg_database_size(current_database())")
    return [
        Sample("warouter_database_connections", await connection.fetchval(_SESSIONS)),
        Sample("warouter_database_max_connections", row["most"]),
        Sample("warouter_database_bytes", size),
        Sample("warouter_oldest_transaction_seconds", row["held_s"]),
        Sample("warouter_oldest_snapshot_transactions", row["held_xids"]),
    ]


def _by_type(name: str, values: Mapping[int, Any]) -> list[Sample]:
    return [Sample(name, value, {"type": EVENT_TYPES[kind]}) for kind, value in values.items()]

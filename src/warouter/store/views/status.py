"""The state of the cluster, read in one read-only snapshot.

Ages are computed by PostgreSQL and cross its border as seconds. What waits is counted by
``views.backlog``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from warouter.cloud_number import FIRST
from warouter.cluster.moves import OwnerChange
from warouter.cluster.shardmap import TIMELINE_BITS, ShardMap, SlotOwner
from warouter.kinds import EVENT_KINDS, INBOUND, STATUS
from warouter.store import locks
from warouter.store.database import Taken
from warouter.store.nodes import SLOTS_SQL, map_of
from warouter.store.views.backlog import BacklogCounts, read_backlog
from warouter.store.views.doubts import CloudStatus, read_cloud
from warouter.store.views.owners import ALL, OwnerLogFilter, read_changes, read_owners
from warouter.store.views.sessions import Trust
from warouter.store.views.trust import read_trust

SILENT_SECONDS = 3.0  # a session that has said nothing for ten beats

_NODES = """
select n.incarnation, n.name, n.role, n.pid, n.version, n.host, n.port, n.leaving,
       coalesce(b.upstream_ok, true) as upstream_ok,
       coalesce(b.journal_ok, true) as journal_ok,
       extract(epoch from clock_timestamp() - n.started_at)::float8 as age_s,
       n.started_at, n.upstream, s.connections, s.silent_s
  from node n
  left join beat b using (incarnation)
  left join (
       select substr(a.application_name, 4, 32) as hex, count(*) as connections,
              -- the session with the alive lock speaks at every beat
              extract(epoch from clock_timestamp() - max(a.state_change)
                      filter (where l.pid is not null))::float8 as silent_s
         from sessions() a
         left join pg_locks l on l.pid = a.pid and l.locktype = 'advisory' and l.granted
                             and l.classid::bigint = $1 and l.objsubid = 2
        where a.datname = current_database() and a.application_name like 'wa:%'
        group by 1) s on s.hex = replace(n.incarnation::text, '-', '')
 order by n.role, n.name, n.started_at"""
_CLUSTER = """
select m.version, m.shards, t.term, t.incarnation as leader,
       extract(epoch from clock_timestamp() - t.won_at)::float8 as term_age_s, t.won_at
  from shard_map m, term t"""
_REQUEST = """
select id, shards, state, extract(epoch from clock_timestamp() - requested_at)::float8 as age_s
  from shard_request where state in ('waiting', 'running')"""

_SESSIONS = """
select case when a.application_name like 'wa:%' then substr(a.application_name, 37)
            else coalesce(nullif(a.application_name, ''), a.backend_type) end as name,
       count(*) as connections
  from sessions() a
 where a.datname = current_database() and a.pid <> pg_backend_pid()
   and a.backend_type = 'client backend'
 group by 1 order by 1"""
DATABASE_SQL = """
select current_setting('max_connections')::integer as most,
       extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8 as up_s,
       coalesce(o.held_s, 0) as held_s, coalesce(o.held_by, '') as held_by,
       greatest(o.xids, (select max(age(r.xmin)) from pg_replication_slots r),
                (select max(age(p.transaction)) from pg_prepared_xacts p), 0) as held_xids
  from (select max(extract(epoch from clock_timestamp() - a.xact_start))::float8 as held_s,
               (array_agg(a.application_name order by a.xact_start))[1] as held_by,
               max(age(a.backend_xmin)) as xids
          from sessions() a
         where a.datname = current_database() and a.pid <> pg_backend_pid()
           and a.backend_type in ('client backend', 'walsender') and a.xact_start is not null) o"""


def numbered(raw: int) -> str:
    """A term or an epoch as people read it: ``timeline.n``."""
    timeline, n = divmod(raw, 1 << TIMELINE_BITS)
    return f"{timeline}.{n}"


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``state``: "alive"; "silent", with sessions but without beats; "dead", without sessions."""

    incarnation: UUID
    name: str
    role: str  # primary master, secondary master, primary coreapp, secondary coreapp, webapp
    state: str
    pid: int
    version: str
    address: str
    started_at: datetime
    age_s: float
    silent_s: float | None
    upstream_ok: bool
    journal_ok: bool
    leaving: bool
    connections: int
    shards: list[int]
    upstream: str


class SlotStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One slot. ``moving``: 1, its owner shall begin no request, as it moves; 2, none is out."""

    slot: int
    shard: int
    epoch: int
    owner: str | None
    owner_incarnation: UUID | None
    successor: str | None
    successor_incarnation: UUID | None
    moving: int


class ShardStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``backlog`` counts committed messages that are neither settled nor parked."""

    shard: int
    owners: list[str]
    successors: list[str]
    slots: list[int]
    unowned_slots: list[int]
    epoch_from: int
    epoch_to: int
    backlog: int
    parked: int
    waiting_statuses: int
    waiting_inbound: int
    parked_events: int
    dead_letters: int


class DatabaseStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``oldest_transaction_s`` is the age of the oldest open transaction in seconds."""

    up_s: float
    connections: int
    max_connections: int
    connections_by_node: dict[str, int]
    oldest_transaction_s: float
    oldest_transaction_by: str
    oldest_snapshot_xids: int


class RequestStatus(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    shards: int
    state: str
    age_s: float


class Status(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything `warouter status` shows; ``cloud`` only where the Cloud API is the upstream,
    ``owners_at`` only if a time was asked for: who owned each slot then.

    ``oldest_message_s`` and ``oldest_callback_s``: for how long the oldest one has been waiting.
    """

    term: int
    term_won_at: datetime
    term_age_s: float
    leader: str | None
    map_version: int
    shard_count: int
    nodes: list[NodeStatus]
    shards: list[ShardStatus]
    slots: list[SlotStatus]
    backlog: int
    parked: int
    oldest_message_s: float
    callback_queue: dict[str, int]
    oldest_callback_s: dict[str, float]
    parked_events: int
    dead_letters: int
    shard_request: RequestStatus | None
    database: DatabaseStatus
    history: list[OwnerChange]
    trust: Trust
    cloud: CloudStatus | None = None
    owners_at: Mapping[int, str | None] | None = None


async def read_status(
    connection: Taken,
    history: int = 0,
    wanted: OwnerLogFilter = ALL,
    owners_at: datetime | None = None,
) -> Status:
    """Read everything in one snapshot, with the last ``history`` changes of owners that are
    ``wanted``, and the owners at a time.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        cluster = await connection.fetchrow(_CLUSTER)
        assert cluster is not None
        slots = map_of(cluster["version"], cluster["shards"], await connection.fetch(SLOTS_SQL))
        rows = await connection.fetch(_NODES, locks.ALIVE)
        waiting = await read_backlog(connection)
        names = {r["incarnation"]: r["name"] for r in rows}
        shards = _shards(slots, names, waiting)
        nodes = [_node(row, slots, cluster["leader"]) for row in rows]
        return Status(
            term=cluster["term"],
            term_won_at=cluster["won_at"],
            term_age_s=cluster["term_age_s"],
            leader=next((n.name for n in nodes if n.role == "primary master"), None),
            map_version=slots.version,
            shard_count=slots.shards,
            nodes=nodes,
            shards=shards,
            slots=[_slot(slot, slots, names) for slot in slots.slots],
            backlog=sum(s.backlog for s in shards),
            parked=sum(s.parked for s in shards),
            oldest_message_s=waiting.oldest_s,
            callback_queue={
                "statuses": sum(s.waiting_statuses for s in shards),
                "inbound": sum(s.waiting_inbound for s in shards),
            },
            oldest_callback_s={
                "statuses": waiting.oldest_event_s.get(STATUS, 0.0),
                "inbound": waiting.oldest_event_s.get(INBOUND, 0.0),
            },
            parked_events=sum(s.parked_events for s in shards),
            dead_letters=sum(s.dead_letters for s in shards),
            shard_request=await _request(connection),
            database=await _database(connection),
            cloud=await read_cloud(connection, FIRST),
            trust=await read_trust(connection),
            history=await read_changes(connection, history, wanted),
            owners_at=None if owners_at is None else await read_owners(connection, owners_at),
        )


def _name(incarnation: UUID | None, names: Mapping[UUID, str]) -> str | None:
    if incarnation is None:
        return None
    return names.get(incarnation, f"forgotten {incarnation.hex[:8]}")


def _slot(s: SlotOwner, slots: ShardMap, names: Mapping[UUID, str]) -> SlotStatus:
    return SlotStatus(
        slot=s.slot,
        shard=slots.shard_of(s.slot),
        epoch=s.epoch,
        owner=_name(s.owner, names),
        owner_incarnation=s.owner,
        successor=_name(s.successor, names),
        successor_incarnation=s.successor,
        moving=s.moving,
    )


def _shards(slots: ShardMap, names: Mapping[UUID, str], counts: BacklogCounts) -> list[ShardStatus]:
    return [
        _shard(number, [s for s in slots.slots if slots.shard_of(s.slot) == number], names, counts)
        for number in range(slots.shards)
    ]


def _shard(
    number: int, slots: list[SlotOwner], names: Mapping[UUID, str], counts: BacklogCounts
) -> ShardStatus:
    def named(incarnations: set[UUID | None]) -> list[str]:
        return sorted(name for i in incarnations if (name := _name(i, names)) is not None)

    def total(by_kind: Mapping[tuple[int, int], int], *kinds: int) -> int:
        return sum(by_kind.get((s.slot, kind), 0) for s in slots for kind in kinds)

    return ShardStatus(
        shard=number,
        owners=named({s.owner for s in slots}),
        successors=named({s.successor for s in slots}),
        slots=[s.slot for s in slots],
        unowned_slots=[s.slot for s in slots if s.owner is None],
        epoch_from=min(s.epoch for s in slots),
        epoch_to=max(s.epoch for s in slots),
        backlog=sum(counts.backlog.get(s.slot, 0) for s in slots),
        parked=sum(counts.parked.get(s.slot, 0) for s in slots),
        waiting_statuses=total(counts.callbacks, STATUS),
        waiting_inbound=total(counts.callbacks, INBOUND),
        parked_events=total(counts.parked_events, *EVENT_KINDS),
        dead_letters=total(counts.dead, *EVENT_KINDS),
    )


def _node(row: Any, slots: ShardMap, leader: UUID | None) -> NodeStatus:
    connections, silent = row["connections"] or 0, row["silent_s"]
    owned = slots.shards_of(row["incarnation"])
    if not connections:
        state = "dead"
    else:
        state = "alive" if silent is not None and silent < SILENT_SECONDS else "silent"
    primary = {
        "master": row["incarnation"] == leader and state != "dead",
        "coreapp": bool(owned),
    }.get(row["role"])
    rank = "" if primary is None else "primary " if primary else "secondary "
    return NodeStatus(
        incarnation=row["incarnation"],
        name=row["name"],
        role=rank + row["role"],
        state=state,
        pid=row["pid"],
        version=row["version"],
        address=f"{row['host']}:{row['port']}" if row["port"] else "",
        started_at=row["started_at"],
        age_s=row["age_s"],
        silent_s=silent,
        upstream_ok=row["upstream_ok"],
        journal_ok=row["journal_ok"],
        leaving=row["leaving"],
        connections=connections,
        shards=owned,
        upstream=row["upstream"],
    )


async def _request(connection: Taken) -> RequestStatus | None:
    row = await connection.fetchrow(_REQUEST)
    return None if row is None else RequestStatus(**row)


async def _database(connection: Taken) -> DatabaseStatus:
    sessions = {r["name"]: r["connections"] for r in await connection.fetch(_SESSIONS)}
    row = await connection.fetchrow(DATABASE_SQL)
    assert row is not None
    return DatabaseStatus(
        up_s=row["up_s"],
        connections=sum(sessions.values()),
        max_connections=row["most"],
        connections_by_node=sessions,
        oldest_transaction_s=row["held_s"],
        oldest_transaction_by=row["held_by"],
        oldest_snapshot_xids=row["held_xids"],
    )

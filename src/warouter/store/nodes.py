"""Nodes, the shard map, and requests to change the shard count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec

from warouter.cluster.membership import Node
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.errors import ChangeRefused, OutcomeUnknown
from warouter.link.address import LinkAddress
from warouter.store import locks
from warouter.store.bounded import Fetch
from warouter.store.database import Connection, Source

TAKEN_UP = "taken up"  # the details of a request for shards that a leader has seen
NODES = "nodes"  # the hint of a process that has registered or will leave
LINK_GONE = "link"  # the hint of a webapp whose link to a coreapp has ended
_MAP = "select version, shards from shard_map"
SLOTS_SQL = """
select slot, epoch, owner, successor, moving, upstream from slot, format order by slot"""
NODES_SQL = """
select n.incarnation, n.name, n.role, n.leaving, n.host, n.port, n.link_key, n.fingerprint,
       n.version, n.pid, b.counter, coalesce(b.upstream_ok, true) as upstream_ok,
       coalesce(b.unreached, '{}') as unreached, coalesce(b.journal_ok, true) as journal_ok,
       n.upstream
  from node n left join beat b using (incarnation) order by n.name, n.started_at"""


def map_of(version: int, shards: int, slots: Sequence[Any]) -> ShardMap:
    """The shard map from the rows of SLOTS_SQL."""
    owners = tuple(SlotOwner(*owner) for *owner, _upstream in slots)
    return ShardMap(version, shards, owners, slots[0][-1])


def node_of(row: Any) -> Node:
    """The node from a row of NODES_SQL."""
    return Node(
        row["incarnation"],
        row["name"],
        row["role"],
        row["counter"],
        row["leaving"],
        row["upstream_ok"],
        frozenset(row["unreached"]),
        row["journal_ok"],
        row["upstream"],
    )


async def hint_link_gone(connection: Connection) -> None:
    """Tell the masters that a coreapp's link has ended, so that they poll at once."""
    await connection.execute("select pg_notify($1, $2)", locks.CHANNEL, LINK_GONE)


async def read_map(source: Source, known: ShardMap | None = None) -> ShardMap:
    """The shard map in force: ``known``, if that was read on this connection and is it still."""
    state = await source.fetchrow(_MAP)
    assert state is not None
    if known is not None and (known.version, known.shards) == (state["version"], state["shards"]):
        return known
    rows = await source.fetch(SLOTS_SQL)
    return map_of(state["version"], state["shards"], rows)


async def read_nodes(source: Source) -> list[Node]:
    """Every registered incarnation."""
    return [node_of(row) for row in await source.fetch(NODES_SQL)]


async def read_rows(source: Source) -> Sequence[Any]:
    """The node rows, undecoded."""
    rows: Sequence[Any] = await source.fetch(NODES_SQL)
    return rows


def addresses_of(rows: Sequence[Any]) -> dict[UUID, LinkAddress]:
    """The link address of each coreapp, from the rows of NODES_SQL.

    One that has left, at whose address its successor listens by now, is not there: its row stays
    for a minute, and who called it would be shown another certificate, as by an impostor.
    """
    coreapps = [row for row in rows if row["role"] == "coreapp"]
    taken = {(row["host"], row["port"]) for row in coreapps if not row["leaving"]}
    return {
        row["incarnation"]: address_of(row)
        for row in coreapps
        if not (row["leaving"] and (row["host"], row["port"]) in taken)
    }


ADDRESS_SQL = """
select incarnation, name, host, port, link_key, fingerprint
  from node where incarnation = $1 and role = 'coreapp'"""


# What each process that may dial a link shows: see link/pins.py.
_CERTIFICATES = "select certificate from node where role in ('webapp', 'coreapp')"


async def read_certificates(fetch: Fetch) -> list[bytes]:
    """The certificate (DER) of each row of a webapp or coreapp; b"" of one that has none.
    OutcomeUnknown when the database does not answer.
    """
    try:
        return [row["certificate"] for row in await fetch(_CERTIFICATES)]
    except asyncpg.PostgresError as error:
        raise OutcomeUnknown(f"certificates: {error!r}") from error


def address_of(row: Any) -> LinkAddress:
    """The link address from a row of ADDRESS_SQL or NODES_SQL."""
    return LinkAddress(
        row["incarnation"],
        row["name"],
        row["host"],
        row["port"],
        row["link_key"],
        row["fingerprint"],
    )


async def live_incarnations(source: Source) -> set[UUID]:
    """Incarnations with at least one database session."""
    rows = await source.fetch(
        "select distinct substr(application_name, 4, 32) as inc from pg_stat_activity"
        " where datname = current_database() and application_name ~ '^wa:[0-9a-f]{32}:'"
    )
    return {UUID(r["inc"]) for r in rows}


async def read_term(source: Source) -> UUID | None:
    """The incarnation that leads, or led last."""
    leader: UUID | None = await source.fetchval("select incarnation from term")
    return leader


_SENDER = """
select recipient from event where key = $1 and number = $2 and kind = 1 and recipient <> ''"""


async def find_inbound(source: Source, message_id: str, number: int) -> str | None:
    """The sender of an inbound message of the number that is still in a journal."""
    sender: str | None = await source.fetchval(_SENDER, message_id, number)
    return sender


class ShardRequest(msgspec.Struct, frozen=True):
    """``taken_up``: a leader has seen it, and waits for slots that have to be quiet first."""

    id: UUID
    shards: int
    state: str
    taken_up: bool = False


async def ask_for_shards(pool: asyncpg.Pool, shards: int) -> UUID:
    """Ask the leader for a new shard count. Raises ChangeRefused while another change runs."""
    request = uuid4()
    try:
        await pool.execute(
            "insert into shard_request (id, shards, state) values ($1, $2, 'waiting')",
            request,
            shards,
        )
    except asyncpg.UniqueViolationError as error:
        raise ChangeRefused("another change of the shard count is under way; retry") from error
    await pool.execute("select pg_notify('warouter', 'shards')")
    return request


async def shard_request_state(pool: asyncpg.Pool, request: UUID) -> tuple[str, str]:
    """(state, details) of a request."""
    row = await pool.fetchrow("select state, details from shard_request where id = $1", request)
    return (row["state"], row["details"] or "") if row else ("refused", "withdrawn")


async def withdraw_shard_request(pool: asyncpg.Pool, request: UUID) -> bool:
    """Withdraw a request that no leader has begun; False if one has."""
    done = await pool.execute(
        "update shard_request set state = 'refused', details = 'no leader took it',"
        " ended_at = now() where id = $1 and state = 'waiting'",
        request,
    )
    return bool(done.endswith("1"))

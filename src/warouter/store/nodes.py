"""Nodes, beats, the shard map, and requests to change the shard count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec

from warouter._hash import HASH_NAME, HASH_VERSION
from warouter.cluster.membership import Node
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.config import Settings
from warouter.errors import ChangeRefused, OutcomeUnknown
from warouter.link.address import Address
from warouter.store import locks
from warouter.store.database import (
    Connection,
    Source,
    application_name,
    connect,
    listen,
    outcome_unknown,
)

_REGISTER = "select register_node($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)"
_BEAT = "select * from beat($1, $2, $3, $4, $5)"
_LEAVE = """
with me as (update node set leaving = true where incarnation = $1),
     told as (select pg_notify('warouter', 'nodes'))
select exists (select 1 from node n join pg_stat_activity a
                  on a.application_name like 'wa:' || replace(n.incarnation::text, '-', '') || ':%'
                where n.role = $2 and n.incarnation <> $1 and not n.leaving) from told"""
BETWEEN_SECONDS = 0.5  # a beat waits so long for another statement, and a lease for several beats
LINK_GONE = "link"  # the hint of a webapp whose link to a coreapp has ended
_MAP = "select version, shards from shard_map"
SLOTS_SQL = "select slot, epoch, owner, successor from slot order by slot"
NODES_SQL = """
select n.incarnation, n.name, n.role, n.leaving, n.host, n.port, n.link_key, n.fingerprint,
       n.version, n.pid, b.counter, coalesce(b.upstream_ok, true) as upstream_ok,
       coalesce(b.unreached, '{}') as unreached, coalesce(b.journal_ok, true) as journal_ok
  from node n left join beat b using (incarnation) order by n.name, n.started_at"""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that a process publishes about itself at its start."""

    incarnation: UUID
    name: str
    role: str
    host: str
    port: int
    version: str
    pid: int
    link_key: bytes | None = None
    fingerprint: str | None = None

    @property
    def application(self) -> str:
        return application_name(self.incarnation, self.name)


class Beat(msgspec.Struct, frozen=True):
    """The answer to a beat: renewed slots with their epochs, slots
    to hand over, and the counters of what others may change.
    """

    renewed: dict[int, int]
    handing: dict[int, int]
    map_version: int
    settings_version: int
    auth_version: int  # of users and tokens


class NodeSession:
    """The connection that shows that a node is alive: alive lock, beats, and LISTEN.

    Dedicated; remade when lost. A beat that finds no row registers again: it never means fenced.
    Between two beats it also takes a statement that waits for nothing, such as a report's: a
    session for that alone, opened and closed each time, costs more than the beats.
    """

    def __init__(
        self, settings: Settings, registration: Registration, wake: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._registration = registration
        self._wake = wake
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()  # one task at a time on a connection
        self.registered = asyncio.Event()  # there is a connection, and it is ready
        self.alive = False  # the last beat was confirmed, and its connection stands

    def register_as(self, registration: Registration) -> None:
        """Publish these facts with the next registration: the listening address is known now."""
        self._registration = registration

    @property
    def connected(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    async def beat(
        self,
        upstream_ok: bool,
        within: float,
        unreached: Sequence[UUID] = (),
        journal_ok: bool = True,
    ) -> Beat:
        """Renew the leases once. Raises OutcomeUnknown if no answer comes in ``within`` seconds.

        ``unreached`` are the coreapps that this webapp has no link to; ``journal_ok``: this
        coreapp can write its journals.
        """
        r = self._registration
        said = (r.incarnation, upstream_ok, list(unreached), journal_ok, r.role == "coreapp")
        try:
            async with asyncio.timeout(within), self._lock:
                connection = await self._connected()
                row = await connection.fetchrow(_BEAT, *said)
                if row is None:
                    await self._register(connection)
                    row = await connection.fetchrow(_BEAT, *said)
        except Exception as error:
            self.terminate()
            raise OutcomeUnknown(f"beat: {error!r}") from error
        assert row is not None
        self.alive = self.connected
        return Beat(
            dict(zip(row["slots"], row["epochs"], strict=True)),
            dict(zip(row["handing"], row["handing_epochs"], strict=True)),
            row["map_version"],
            row["settings_version"],
            row["auth_version"],
        )

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """Run a statement that waits for nothing, while ``registered``. OutcomeUnknown, and the
        connection is ended, if there is no answer before a beat would be late.
        """
        try:
            async with asyncio.timeout(BETWEEN_SECONDS), self._lock:
                if self._connection is None:
                    raise ConnectionError("no session")
                rows: list[Any] = await self._connection.fetch(sql, *arguments)
                return rows
        except asyncpg.PostgresError as error:
            if outcome_unknown(error):
                self.terminate()
            raise
        except Exception as error:
            self.terminate()
            raise OutcomeUnknown(f"between two beats: {error!r}") from error

    async def say_leaving(self) -> bool:
        """Ask the leader for successors, because this process will
        stop. False if nobody can be one.
        """
        async with self._lock:
            if self._connection is None:
                return False
            heirs: bool = await self._connection.fetchval(
                _LEAVE, self._registration.incarnation, self._registration.role
            )
            return heirs

    def terminate(self) -> None:
        self.alive = False
        self.registered.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _connected(self) -> Connection:
        if not self.connected:
            connection = await connect(self._settings, self._registration.application)
            self._connection = connection  # from here on terminate() ends it
            connection.add_termination_listener(self._on_lost)
            await connection.fetchval(
                "select pg_try_advisory_lock($1, hashtext($2))",
                locks.ALIVE,
                self._registration.incarnation.hex,
            )
            await self._register(connection)
            await listen(connection, self._wake)
            self.registered.set()
        assert self._connection is not None
        return self._connection

    def _on_lost(self, _connection: object) -> None:
        """Beat again at once: a node without a session is soon judged dead."""
        self.alive = False
        self._wake("lost")

    async def _register(self, connection: Connection) -> None:
        r = self._registration
        await connection.execute(
            _REGISTER,
            r.incarnation,
            r.name,
            r.role,
            r.host,
            r.port,
            r.link_key,
            r.fingerprint,
            r.version,
            HASH_NAME,
            HASH_VERSION,
            r.pid,
        )


def map_of(version: int, shards: int, slots: Sequence[Any]) -> ShardMap:
    """The shard map from the rows of SLOTS_SQL."""
    return ShardMap(version, shards, tuple(SlotOwner(*row) for row in slots))


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


def addresses_of(rows: Sequence[Any]) -> dict[UUID, Address]:
    """The link address of each coreapp, from the rows of NODES_SQL."""
    return {r["incarnation"]: address_of(r) for r in rows if r["role"] == "coreapp"}


ADDRESS_SQL = """
select incarnation, name, host, port, link_key, fingerprint
  from node where incarnation = $1 and role = 'coreapp'"""


def address_of(row: Any) -> Address:
    """The link address from a row of ADDRESS_SQL or NODES_SQL."""
    return Address(
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


async def find_inbound(source: Source, message_id: str) -> str | None:
    """The sender of an inbound message that is still in a journal."""
    sender: str | None = await source.fetchval(
        "select recipient from event where key = $1 and kind = 1 and recipient <> ''", message_id
    )
    return sender


class ShardRequest(msgspec.Struct, frozen=True):
    id: UUID
    shards: int
    state: str


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

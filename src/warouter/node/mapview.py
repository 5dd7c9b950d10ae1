"""A webapp's view of the cluster: its map and addresses, and how to ask for other shards."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

import asyncpg

from warouter.api.access.tokens import TokenCache
from warouter.api.context import HealthReport, NodeState
from warouter.background import wait_for
from warouter.cluster.beats import BeatAges
from warouter.cluster.quiesce import QUIET_SECONDS
from warouter.cluster.shardmap import ShardMap
from warouter.config import Settings, Timing
from warouter.errors import ChangeRefused, NotReady
from warouter.link.client import Links
from warouter.link.credential import Credential
from warouter.log import Outage
from warouter.store import database
from warouter.store.account.registration import read_standing
from warouter.store.bounded import connection
from warouter.store.cloud.notices import read_notices
from warouter.store.nodes import (
    LINK_GONE,
    TAKEN_UP,
    addresses_of,
    ask_for_shards,
    find_inbound,
    hint_link_gone,
    live_incarnations,
    read_map,
    read_nodes,
    read_rows,
    read_term,
    shard_request_state,
    withdraw_shard_request,
)
from warouter.store.views.number_status import read_number
from warouter.store.views.trace import Trace, read_trace

log = logging.getLogger(__name__)

BEGIN_SECONDS = 3.0  # a leader takes a request up within a poll; none for so long: nobody leads
CHANGE_SECONDS = 30.0
# So much later if the leader waits for slots that have to be quiet first.
QUIET_WAIT_SECONDS = QUIET_SECONDS + 5.0
LOOK_SECONDS = 0.02
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class MapView:
    """Follows the shard map: NOTIFY is a hint, its version in each beat is authoritative.

    Nodes are in no beat: those that join, or fall silent, are polled for.
    """

    def __init__(
        self,
        settings: Settings,
        timing: Timing,
        pool: asyncpg.Pool,
        application: str,
        tokens: TokenCache | None = None,
        credential: Credential | None = None,
    ) -> None:
        self._settings = settings
        self._timing = timing
        self._pool = pool
        self._application = application
        self._tokens = tokens
        self._wake = asyncio.Event()
        self._hints: asyncpg.Connection | None = None
        self._outage = Outage()
        self._leaving = False
        self._clock = asyncio.get_running_loop().time
        self._beats = BeatAges(timing.lease / 2)  # a gap alone is no silence
        self._link_gone = False
        self.links = Links(timing.hold, self._wake.set, self._on_link_gone, credential)
        self.map: ShardMap | None = None
        self._read: ShardMap | None = None  # on this connection

    @property
    def away(self) -> bool:
        """True while the database does not answer."""
        return self._outage.lasts

    def saw(self, version: int) -> None:
        """A beat says that this version of the map is in force."""
        if self.map is not None and version != self.map.version:
            self._wake.set()

    async def run(self) -> None:
        """Follow the map until cancelled; the last one is kept while the database is away."""
        while True:
            self._wake.clear()
            try:
                async with asyncio.timeout(self._timing.trust):
                    connection = await self._connected()
                    await self._tell_leader(connection)
                    await self._refresh(connection)
                self._outage.ends()
            except Exception as error:
                # Whatever a driver raises when its server dies: serving goes on without news.
                self._let_go()
                if self._outage.begins():
                    log.warning("shard map refresh failed", extra={"error": repr(error)})
            await wait_for(self._wake, self._timing.map_poll)

    async def _refresh(self, connection: asyncpg.Connection) -> None:
        new = self._read = await read_map(connection, self._read)
        rows = await read_rows(connection)
        self._beats.observe(self._clock(), {r["incarnation"]: r["counter"] for r in rows})
        self.links.set_addresses(addresses_of(rows))
        if self.map != new:
            self.map = new
            self.links.set_map(new)

    async def shards(self) -> int:
        async with connection(self._pool) as taken:
            return (await read_map(taken)).shards

    async def set_shards(self, shards: int) -> list[str]:
        """Ask the leader and wait until the new map is in force; returns warnings for a person.

        ChangeRefused while another change runs or when nobody leads: then it never takes effect.
        NotReady when it may: it is decided and goes on, or the database does not say.
        """
        request = await ask_for_shards(self._pool, shards)
        try:
            await self._wait_for(request)
        except _AWAY as error:
            raise NotReady(
                "outcome unknown: check GET /v1/account/shards in ten seconds"
            ) from error
        return await self._warnings(shards)

    async def _wait_for(self, request: UUID) -> None:
        loop = asyncio.get_running_loop()
        began, seen_running, more = loop.time(), False, 0.0
        while True:
            state, details = await shard_request_state(self._pool, request)
            if state == "waiting" and details == TAKEN_UP:
                more = QUIET_WAIT_SECONDS
            if state == "done":
                return
            if state == "refused":
                raise ChangeRefused(details or "the change was refused; retry")
            seen_running = seen_running or state == "running"
            waited = loop.time() - began
            if not seen_running and (waited > BEGIN_SECONDS + more or self._leaving):
                if await withdraw_shard_request(self._pool, request):
                    raise ChangeRefused("no master leads right now; retry")
            elif waited > CHANGE_SECONDS + more or self._leaving:
                raise NotReady("the change was accepted and continues, but is not in force yet")
            await asyncio.sleep(LOOK_SECONDS)

    async def health(self, number: int) -> HealthReport:
        """Every master and coreapp with its state for the number, in the product's terms."""
        try:
            async with connection(self._pool) as taken:
                current = await read_map(taken)
                nodes = await read_nodes(taken)
                alive = await live_incarnations(taken)
                leader = await read_term(taken)
                standing = await read_standing(taken, number)
                notices = await read_notices(taken, number)
                facts = await read_number(taken, number)
        except _AWAY as error:
            raise NotReady("the database does not answer") from error
        alive -= self._beats.silent(self._timing.lease)
        multiconnect = current.shards > 1
        owners = {s.owner for s in current.slots}
        states: dict[str, NodeState] = {}
        for node in nodes:
            if node.role == "webapp" or (node.name in states and node.incarnation not in alive):
                continue
            up = node.incarnation in alive
            if node.role == "master":
                leads = up and node.incarnation == leader
                role = "primary_master" if leads else "secondary_master"
                connected = leads and multiconnect
            else:
                role = "coreapp"
                connected = (
                    up and node.incarnation in owners and node.upstream_ok and node.journal_ok
                )
            problem = "" if up else "the node does not answer"
            if connected and node.role == "coreapp" and standing.stopped is not None:
                connected, problem = False, f"the number is stopped by code {standing.stopped}"
            serving = "connected" if standing.registered else "unregistered"
            status = serving if connected else "disconnected"
            states[node.name] = NodeState(node.name, status, role, problem)
        notes = [str(notice) for notice in notices]
        if facts is not None:
            notes += facts.warnings()
        return HealthReport(list(states.values()), notes, facts)

    async def find_inbound(self, message_id: str, number: int) -> str | None:
        """The sender of an inbound message of the number that is still in a journal."""
        async with connection(self._pool) as taken:
            return await find_inbound(taken, message_id, number)

    async def trace(self, message_id: str, number: int) -> Trace | None:
        """The trace of a message of the number; None if its id is not known."""
        async with connection(self._pool) as taken:
            return await read_trace(taken, message_id, number)

    def end_waiting(self) -> None:
        """End calls that still wait: this process stops."""
        self._leaving = True
        self.links.end_waiting()

    async def close(self) -> None:
        await self.links.close()
        if self._hints is not None:
            await database.close_politely(self._hints)

    async def _connected(self) -> asyncpg.Connection:
        """A connection of its own. One whose server hangs is ended and replaced.

        A pool would wait for it much longer.
        """
        if self._hints is None or self._hints.is_closed():
            self._read = None
            self._hints = await database.connect(self._settings, self._application)
            await database.listen(self._hints, self._on_hint)
        return self._hints

    def _let_go(self) -> None:
        hints, self._hints = self._hints, None
        if hints is not None:
            hints.terminate()

    def _on_hint(self, what: str) -> None:
        if what == "auth":
            if self._tokens is not None:
                self._tokens.wake()
        elif what != LINK_GONE:
            self._wake.set()

    def _on_link_gone(self) -> None:
        self._link_gone = True
        self._wake.set()

    async def _tell_leader(self, connection: asyncpg.Connection) -> None:
        """Report broken links at once: after a death the leader need not wait for its poll."""
        if self._link_gone:
            self._link_gone = False
            await hint_link_gone(connection)

    async def _warnings(self, shards: int) -> list[str]:
        nodes = await read_nodes(self._pool)
        alive = await live_incarnations(self._pool)
        coreapps = sum(1 for n in nodes if n.role == "coreapp" and n.incarnation in alive)
        if coreapps >= shards:
            return []
        warning = (
            f"{shards} shards on {coreapps} coreapps: some own several,"
            " and none is spare; start more coreapps"
        )
        log.warning("shards outnumbered coreapps", extra={"shards": shards, "coreapps": coreapps})
        return [warning]

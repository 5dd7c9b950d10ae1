"""Relays messages to an owner that a webapp does not reach, and its answers back.

Rules of this file:
  * a message goes on as an ordinary message frame, so nobody relays what was relayed; ids and
    epochs stay, and the owner takes it, or not, as from any webapp;
  * every message gets an answer: the owner's, or UNREACHED as soon as it is clear that none comes;
  * what waits for an answer is bounded in number and bytes over all owners;
  * a link to an owner is made when it is needed, with the key of its node row, and not kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

from warouter import background
from warouter.background import rest
from warouter.link import wire
from warouter.link.address import LinkAddress
from warouter.link.connection import TICK_SECONDS
from warouter.link.credential import Credential
from warouter.link.dial import CoreappConnection
from warouter.link.listen import Relaying, WebappConnection, relay_nothing

log = logging.getLogger(__name__)

MAX_WAITING = 5_000
MAX_WAITING_BYTES = 16 << 20
REACH_SECONDS = 0.6  # to connect and to prove
REST_SECONDS = 0.5  # an owner that was not reached is not tried again so soon
IDLE_SECONDS = 5.0
MAX_ADDRESSES = 256


class RelayedMessage(NamedTuple):
    webapp: WebappConnection
    slot: int
    size: int


class Relay(Relaying):
    """Everything that this coreapp relays.

    ``find`` reads the node row of an incarnation; it is asked once for each that is relayed to.
    """

    def __init__(
        self, find: Callable[[UUID], Awaitable[LinkAddress | None]], credential: Credential
    ) -> None:
        self._find = find
        self.credential = credential
        self._addresses: dict[UUID, LinkAddress] = {}  # an incarnation's never changes
        self._passages: dict[UUID, Passage] = {}
        self.waiting = 0
        self.waiting_bytes = 0
        self.relayed = 0

    def on_relay(self, webapp: WebappConnection, frame: wire.RelayFrame) -> None:
        """Relay one message of a webapp to another coreapp, on the loop."""
        full = self.waiting >= MAX_WAITING or self.waiting_bytes >= MAX_WAITING_BYTES
        passage = self._passages.get(frame.owner)
        if passage is None and not full:
            passage = self._passages[frame.owner] = Passage(self, frame.owner)
        if passage is None or full or not passage.take(webapp, frame):
            relay_nothing(webapp, frame)

    async def address(self, owner: UUID) -> LinkAddress | None:
        """The address of an owner, from memory or from its node row."""
        if owner not in self._addresses:
            found = await self._find(owner)
            if found is None:
                return None
            if len(self._addresses) >= MAX_ADDRESSES:
                self._addresses.clear()
            self._addresses[owner] = found
        return self._addresses[owner]

    def ended(self, passage: Passage) -> None:
        if self._passages.get(passage.owner) is passage:
            del self._passages[passage.owner]

    async def close(self) -> None:
        tasks = [passage.task for passage in self._passages.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Passage:
    """The connection to one owner: opened when needed, kept while in use, then closed."""

    def __init__(self, relay: Relay, owner: UUID) -> None:
        self._relay = relay
        self.owner = owner
        self._loop = asyncio.get_running_loop()
        self._asked: dict[tuple[bytes, int], RelayedMessage] = {}
        self._early: list[wire.Message] = []  # messages that wait for the link
        self._connection: CoreappConnection | None = None
        self._settled = asyncio.Event()  # the link is proved, or was lost
        self._failed = False
        self._used = self._loop.time()
        self.task = background.begin(self._run(), self._broke)

    def take(self, webapp: WebappConnection, frame: wire.RelayFrame) -> bool:
        """Relay one message; False if the owner could not be reached just now."""
        if self._failed:
            return False
        message = frame.message
        self._forget((message.id, message.epoch))
        asked = RelayedMessage(webapp, message.slot, message.size)
        self._asked[message.id, message.epoch] = asked
        self._relay.waiting += 1
        self._relay.waiting_bytes += asked.size
        self._relay.relayed += 1
        self._used = self._loop.time()
        if self._connection is not None and self._connection.proved:
            self._pass_on(self._connection, message)
        else:
            self._early.append(message)
        return True

    # Listener of the connection

    def on_ready(self, connection: CoreappConnection) -> None:
        self._settled.set()
        early, self._early = self._early, []
        for message in early:
            self._pass_on(connection, message)

    def on_lost(self, _connection: CoreappConnection) -> None:
        self._fail()
        self._settled.set()

    def on_stored(self, frame: wire.StatusOutcome) -> None:
        """Nothing: statuses are not relayed."""

    def on_outcome(self, _connection: CoreappConnection, frame: wire.Outcome) -> None:
        answers: dict[WebappConnection, list[bytes]] = defaultdict(list)
        step = 2 if frame.outcome == wire.ALREADY else 1
        for n in range(0, len(frame.ids), step):
            asked = self._forget((frame.ids[n], frame.epoch))
            if asked is not None:
                answers[asked.webapp].extend(frame.ids[n : n + step])
        for webapp, ids in answers.items():
            webapp.send(webapp.frames.outcome(frame.outcome, frame.slot, frame.epoch, ids))

    # inside

    async def _run(self) -> None:
        try:
            await self._passing()
            if not self._idle():
                await asyncio.sleep(REST_SECONDS)
        finally:
            self._relay.ended(self)

    async def _passing(self) -> None:
        try:
            if await self._reach():
                await self._keep()
        finally:
            self._fail()
            if self._connection is not None:
                self._connection.abort()

    def _broke(self, error: Exception) -> None:
        log.error("relay failed", extra={"owner": self.owner.hex}, exc_info=error)

    async def _reach(self) -> bool:
        try:
            address = await self._relay.address(self.owner)
            if address is None:
                return False
            self._connection = CoreappConnection(self, address, self._relay.credential)
            async with asyncio.timeout(REACH_SECONDS):
                if await self._connection.connect(REACH_SECONDS):
                    await self._settled.wait()
        except Exception as error:
            log.info(
                "owner connection failed", extra={"owner": self.owner.hex, "error": repr(error)}
            )
        return self._connection is not None and self._connection.proved and not self._failed

    async def _keep(self) -> None:
        """Wait until the link is lost, or has not been used for a while."""
        assert self._connection is not None
        last = self._loop.time()
        while not self._connection.lost.is_set() and not self._idle():
            await rest(TICK_SECONDS)
            now = self._loop.time()
            self._connection.watch(min(now - last, 2 * TICK_SECONDS))
            last = now

    def _idle(self) -> bool:
        return not self._asked and self._loop.time() - self._used > IDLE_SECONDS

    def _fail(self) -> None:
        """Tell all that wait that no answer will come."""
        self._failed = True
        self._early.clear()
        answers: dict[tuple[WebappConnection, int, int], list[bytes]] = defaultdict(list)
        for message_id, epoch in list(self._asked):
            asked = self._forget((message_id, epoch))
            if asked is not None:
                answers[asked.webapp, asked.slot, epoch].append(message_id)
        for (webapp, slot, epoch), ids in answers.items():
            webapp.send(webapp.frames.outcome(wire.UNREACHED, slot, epoch, ids))

    def _pass_on(self, connection: CoreappConnection, m: wire.Message) -> None:
        frame = connection.frames.message(
            m.slot, m.epoch, m.id, m.kind, m.recipient, bytes(m.body), m.ttl, m.key, m.number
        )
        connection.send(frame)

    def _forget(self, key: tuple[bytes, int]) -> RelayedMessage | None:
        asked = self._asked.pop(key, None)
        if asked is not None:
            self._relay.waiting -= 1
            self._relay.waiting_bytes -= asked.size
        return asked

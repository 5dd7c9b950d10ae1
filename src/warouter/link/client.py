"""The webapp's end of the link: keeps every message until its owner has answered.

A message that is not acknowledged is offered again under the same id, to whoever owns its slot on
the next shard map, until it is on disk or ``hold`` seconds have passed. So a failover costs a pause
and not an error. What is held is bounded in number and bytes. An owner that lives and has no link
to this webapp is reached through another coreapp (``link.detour``, ``link.relay``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random
from uuid import UUID

from warouter._hash import SLOTS
from warouter.background import rest
from warouter.cluster.shardmap import ShardMap
from warouter.errors import ApiError, KeyTaken, Overloaded, ParameterInvalid
from warouter.link import wire
from warouter.link.address import LinkAddress
from warouter.link.connection import TICK_SECONDS
from warouter.link.credential import Credential
from warouter.link.detour import PATIENCE_SECONDS
from warouter.link.dial import CoreappConnection, LinkHandler
from warouter.link.offers import StatusOffers
from warouter.link.pending import Done, HeldMessages, Pending, Submitting, WaitingMessage, too_late
from warouter.link.ways import Straight, Ways
from warouter.retry import backoff

log = logging.getLogger(__name__)

REFUSED_SECONDS = 10.0  # to the next try of a coreapp whose build shares no link version with ours
CONNECT_SECONDS = 2.0


class Links(Submitting, LinkHandler):
    """All links of one webapp, and the messages that wait for their owner's answer.

    The fast path adds what it reads to ``held`` itself, and sends it by ``straight`` where it can,
    else by ``send``. A message waits for ``hold`` seconds at most.
    """

    def __init__(
        self,
        hold: float,
        on_doubt: Callable[[], None],
        on_gone: Callable[[], None] = lambda: None,
        credential: Credential | None = None,
    ) -> None:
        self.hold = hold
        self._on_doubt = on_doubt  # the shard map seems old: read it
        self._on_gone = on_gone  # a coreapp ended its link: it may be dead
        self._credential = credential or Credential("webapp")
        # Kept, since Python 3.11 makes a system call each time it is asked for.
        self._loop = asyncio.get_running_loop()
        self._made: dict[UUID, CoreappConnection] = {}  # the present attempt at each coreapp
        self._random = Random()
        self._ways = Ways(self._loop.time, self._random)
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self.held = HeldMessages()
        self.statuses = StatusOffers(self._straight_to, self._loop)

    @property
    def pending(self) -> int:
        return len(self.held)

    @property
    def pending_bytes(self) -> int:
        return self.held.size

    @property
    def connected(self) -> int:
        return self._ways.connected

    def unreached(self) -> list[UUID]:
        """Coreapps to which this webapp has had no link for some time."""
        return self._ways.unreached()

    def offer(self, message: wire.Outgoing, done: Done) -> None:
        """Offer a message to its owner. ``done`` is called with the
        message's id once it is on disk, or with an error if it will not be.

        The id is another one than the message's if its key has come before with the same request;
        with another request the error is KeyTaken. NotReady: no owner answered in time (details say
        whether the outcome is unknown). Raises Overloaded at once when too much is held.
        """
        self.check(message.slot, len(message.body))
        try:
            frame = wire.message(
                message.slot,
                0,
                message.id,
                message.kind,
                message.recipient,
                message.body,
                message.ttl,
                message.key,
                message.number,
            )
        except ValueError as error:
            log.error("message offer failed", exc_info=error)
            done(ApiError("an internal error: the message does not fit into a frame"))
            return
        entry = Pending(
            message.id, message.slot, len(message.body), frame, self._loop.time() + self.hold, done
        )
        self.held.add(entry)
        self.send(entry)

    def check(self, slot: int, size: int) -> None:
        """Overloaded if there is no room for another message of the slot, of ``size`` bytes."""
        self.held.check(slot, size, self._ways.shards)

    @property
    def straight(self) -> list[Straight | None]:
        """The way to each slot's owner, as far as it is known and free."""
        return self._ways.straight

    async def submit(self, message: wire.Outgoing) -> bytes:
        """``offer`` a message and wait for its outcome."""
        result: asyncio.Future[bytes] = self._loop.create_future()

        def done(outcome: bytes | ApiError) -> None:
            if result.done():
                return  # whoever waited has gone
            if isinstance(outcome, bytes):
                result.set_result(outcome)
            else:
                result.set_exception(outcome)

        self.offer(message, done)
        try:
            return await result
        finally:
            self.held.take(message.id)

    def send(self, entry: WaitingMessage) -> None:
        """Send a message to its owner if there is a way, else keep it for the next map or sweep."""
        way = self._ways.to(entry.slot)
        if way is None:
            entry.refused = True
            return
        entry.refused = False
        connection = way.connection
        entry.epoch = way.epoch
        entry.via = connection.address.incarnation
        entry.offers += 1
        frame = wire.under(way.epoch, entry.frame, connection.frames)
        if way.relayed_to is not None:
            frame = wire.relay(way.relayed_to, frame)
        connection.send(frame)

    def set_map(self, new: ShardMap) -> None:
        """Take a newer shard map, and offer waiting messages of slots that changed hands."""
        moved = self._ways.set_map(new)
        for entry in self.held if moved else ():
            if entry.slot in moved:
                self.send(entry)

    def set_addresses(self, addresses: dict[UUID, LinkAddress]) -> None:
        """Connect to new coreapps, and close links to those that are gone."""
        for incarnation in self._tasks.keys() - addresses.keys():
            self._tasks.pop(incarnation).cancel()
            self._ways.forget(incarnation)
        for incarnation, address in addresses.items():
            if incarnation not in self._tasks:
                self._down(incarnation)
                self._tasks[incarnation] = asyncio.create_task(self._keep(address))

    async def sweep(self) -> None:
        """Until cancelled: fail what waited too long, offer what has no way, watch the links."""
        last = self._loop.time()
        while True:
            await rest(TICK_SECONDS)
            now = self._loop.time()
            passed, last = min(now - last, 2 * TICK_SECONDS), now
            for connection in list(self._made.values()):
                connection.watch(passed)
            self.statuses.sweep(now)
            if not self.held:
                continue
            passable = {slot for slot in range(SLOTS) if self._ways.to(slot)}
            for entry in self.held:
                if entry.deadline <= now:
                    self._end(entry, too_late(entry))
                elif entry.refused and entry.slot in passable:
                    self.send(entry)

    def end_waiting(self) -> None:
        """Fail all messages that no owner has answered for: this process stops."""
        for entry in self.held:
            self._end(entry, too_late(entry))

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # what connections tell

    def on_ready(self, connection: CoreappConnection) -> None:
        self._ways.up(connection)
        mine = self._ways.slots_of(connection.address.incarnation)
        for entry in self.held if mine else ():
            if entry.slot in mine:
                self.send(entry)

    def on_lost(self, connection: CoreappConnection) -> None:
        incarnation = connection.address.incarnation
        if not self._ways.lost(connection):
            return
        self.statuses.lost(incarnation)
        if incarnation in self._tasks:  # a node that was let go has no task
            # One that fell silent has been away for long enough already.
            self._down(incarnation, 0.0 if connection.silent else PATIENCE_SECONDS)
        for entry in self.held:
            if entry.via == incarnation:
                self.send(entry)
        if not connection.silent:
            self._on_gone()
        self._on_doubt()

    def on_outcome(self, connection: CoreappConnection, frame: wire.Outcome) -> None:
        match frame.outcome:
            case wire.ACKED:
                self._on_acked(frame.ids)
            case wire.ALREADY:
                self._on_already(frame)
            case _:
                self._on_refused(connection, frame)

    def on_stored(self, frame: wire.StatusOutcome) -> None:
        self.statuses.stored(frame)

    # inside

    def _straight_to(self, slot: int) -> Straight | None:
        if self._ways.straight[slot] is None:
            self._ways.to(slot)
        return self._ways.straight[slot]

    def _end(self, entry: WaitingMessage, outcome: bytes | ApiError) -> None:
        if self.held.take(entry.id) is not None:
            try:
                entry.done(outcome)
            except Exception as error:
                _not_told(error)

    def _on_acked(self, ids: list[bytes]) -> None:
        for entry in self.held.taken(ids):
            try:
                entry.done(entry.id)
            except Exception as error:  # one request's error, not that of those behind it
                _not_told(error)

    def _on_refused(self, connection: CoreappConnection, frame: wire.Outcome) -> None:
        ids = dict.fromkeys(frame.ids)  # each once, whatever a peer says
        entries = [entry for i in ids if (entry := self.held.get(i)) is not None]
        if frame.outcome == wire.UNREACHED:
            self._on_unreached(connection.address.incarnation, frame, entries)
            return
        doubt = False
        for entry in entries:
            if (error := _final(frame.outcome, entry)) is not None:
                self._end(entry, error)
            elif frame.outcome == wire.OVERLOADED:
                entry.refused = True
            elif frame.epoch >= entry.epoch:
                doubt = entry.refused = True
        if doubt:
            self._on_doubt()

    def _on_already(self, frame: wire.Outcome) -> None:
        """Answer with the message of an earlier, equal request, perhaps to another webapp."""
        for offered, first in wire.pairs(frame.ids):
            entry = self.held.get(offered)
            if entry is not None:
                self._end(entry, first)

    def _on_unreached(self, via: UUID, frame: wire.Outcome, entries: list[WaitingMessage]) -> None:
        """The relaying coreapp did not reach the owner either: try another one, or wait."""
        self._ways.barren(frame.slot, frame.epoch, via)
        for entry in entries:
            if entry.via == via and entry.epoch == frame.epoch:
                self.send(entry)

    def _down(self, incarnation: UUID, patience: float = PATIENCE_SECONDS) -> None:
        until = self._ways.down(incarnation, patience)
        self._loop.call_at(until, self._go_around, incarnation)

    def _go_around(self, owner: UUID) -> None:
        """The link has been down for long enough: send waiting messages through another coreapp."""
        if self._ways.is_up(owner):
            return
        mine = self._ways.slots_of(owner)
        for entry in self.held:
            if entry.refused and entry.slot in mine:
                self.send(entry)

    async def _keep(self, address: LinkAddress) -> None:
        """Keep the link to one coreapp connected until cancelled, whatever fails."""
        while True:
            try:
                await self._connect_again(address)
            except Exception:
                log.exception("link failed", extra={"coreapp": address.name})
                await asyncio.sleep(REFUSED_SECONDS)

    async def _connect_again(self, address: LinkAddress) -> None:
        attempt = 0
        connection: CoreappConnection | None = None
        try:
            while True:
                connection = CoreappConnection(self, address, self._credential)
                self._made[address.incarnation] = connection
                if await connection.connect(CONNECT_SECONDS):
                    await connection.lost.wait()
                    attempt = 0 if connection.proved else attempt
                if connection.refused:
                    await asyncio.sleep(REFUSED_SECONDS)
                await asyncio.sleep(
                    backoff(attempt, first=0.02, most=1.0, draw=self._random.random())
                )
                attempt += 1
        finally:
            if connection is not None:
                connection.abort()
                if self._made.get(address.incarnation) is connection:
                    del self._made[address.incarnation]


def _not_told(error: Exception) -> None:
    """A caller did not accept its outcome; all others get theirs."""
    log.error("outcome handler failed", exc_info=error)


def _final(outcome: int, entry: WaitingMessage) -> ApiError | None:
    """The error with which this outcome ends a request; None if the message is offered again."""
    match outcome:
        case wire.REFUSED:
            return ParameterInvalid("the message cannot be stored")
        case wire.CLASHED:
            return KeyTaken("this Idempotency-Key was used before with another body")
        case wire.OVERLOADED if entry.offers <= 1:
            return Overloaded("the shard's queue is full; retry later")
    return None  # an earlier offer of an overloaded one may be on disk: only its id goes on

"""The webapp's end of the link: keeps every message until its owner has answered for it.

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
from typing import NamedTuple
from uuid import UUID

from warouter._hash import SLOTS
from warouter.cluster.shardmap import ShardMap
from warouter.errors import ApiError, KeyTaken, Overloaded, ParameterInvalid
from warouter.link import wire
from warouter.link.address import Address
from warouter.link.connection import TICK_SECONDS
from warouter.link.detour import PATIENCE_SECONDS, Detours
from warouter.link.dial import CoreappConnection
from warouter.link.pending import Done, Pending
from warouter.retry import backoff

log = logging.getLogger(__name__)

MAX_HELD = 20_000
MAX_HELD_BYTES = 64 << 20
LEAST_WEIGHT = MAX_HELD_BYTES // MAX_HELD  # bytes that stand for the place of one message
REFUSED_SECONDS = 10.0  # to the next try of a coreapp whose build shares no link version with ours
CONNECT_SECONDS = 2.0


class Way(NamedTuple):
    """How a slot's owner is reached under its epoch: by its own link, or by who relays to it."""

    epoch: int
    connection: CoreappConnection
    relayed_to: UUID | None


class Links:
    """All links of one webapp, and the messages that wait for their owner's answer."""

    def __init__(
        self,
        hold: float,
        on_doubt: Callable[[], None],
        on_gone: Callable[[], None] = lambda: None,
    ) -> None:
        self._hold = hold
        self._on_doubt = on_doubt  # the shard map seems old: read it
        self._on_gone = on_gone  # a coreapp ended its link: it may be dead
        # Kept, since Python 3.11 makes a system call each time it is asked for.
        self._loop = asyncio.get_running_loop()
        self._map: ShardMap | None = None
        self._straight: dict[int, Way] = {}  # known ways without a detour, by slot
        self._made: dict[UUID, CoreappConnection] = {}  # the present attempt at each coreapp
        self._ready: dict[UUID, CoreappConnection] = {}
        self._random = Random()
        self._detours = Detours(self._random)
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._pending: dict[bytes, Pending] = {}
        self._bytes = 0
        self._weights = [0] * SLOTS  # of what is held, by slot

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def pending_bytes(self) -> int:
        return self._bytes

    @property
    def connected(self) -> int:
        return len(self._ready)

    def unreached(self) -> list[UUID]:
        """Coreapps that this webapp has had no link to for more than a moment."""
        return self._detours.unreached(self._loop.time())

    def offer(self, message: wire.Outgoing, done: Done) -> None:
        """Call ``done`` once the message is on disk at its owner, with the id that it is known
        under, or once it will not be, with the error.

        The id is another one than the message's if its key has come before with the same request;
        with another request the error is KeyTaken. NotReady: no owner answered in time (details say
        whether the outcome is unknown). Raises Overloaded at once when too much is held.
        """
        size = len(message.body)
        if len(self._pending) >= MAX_HELD or self._bytes + size > MAX_HELD_BYTES:
            raise Overloaded("too many messages wait for their shard; retry later")
        half = len(self._pending) >= MAX_HELD // 2 or self._bytes >= MAX_HELD_BYTES // 2
        if half and self._takes_too_much(message.slot):
            raise Overloaded("too many messages wait for this shard; retry later")
        entry = Pending(message, self._loop.time() + self._hold, done)
        self._pending[message.id] = entry
        self._bytes += size
        self._weights[message.slot] += size + LEAST_WEIGHT
        self._offer(entry)

    async def submit(self, message: wire.Outgoing) -> bytes:
        """``offer``, and wait for what becomes of it."""
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
            self._forget(message.id)

    def set_map(self, new: ShardMap) -> None:
        """A newer shard map: offer what waits for slots that changed hands."""
        old, self._map = self._map, new
        self._straight.clear()
        moved = {
            s.slot
            for i, s in enumerate(new.slots)
            if old is None or (s.owner, s.epoch) != (old.slots[i].owner, old.slots[i].epoch)
        }
        if not moved:
            return
        for entry in list(self._pending.values()):
            if entry.slot in moved:
                self._offer(entry)

    def set_addresses(self, addresses: dict[UUID, Address]) -> None:
        """Connect to coreapps that are new, let go of those that are gone."""
        for incarnation in self._tasks.keys() - addresses.keys():
            self._tasks.pop(incarnation).cancel()
            self._detours.forget(incarnation)
        for incarnation, address in addresses.items():
            if incarnation not in self._tasks:
                self._down(incarnation, PATIENCE_SECONDS)
                self._tasks[incarnation] = asyncio.create_task(self._keep(address))

    async def sweep(self) -> None:
        """Runs until cancelled: ends what has waited for too long, offers again what nobody could
        take, watches the links.
        """
        last = self._loop.time()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self._loop.time()
            passed, last = min(now - last, 2 * TICK_SECONDS), now
            for connection in list(self._made.values()):
                connection.watch(passed)
            passable = {slot for slot in range(SLOTS) if self._way(slot)}
            for entry in list(self._pending.values()):
                if entry.deadline <= now:
                    self._end(entry, entry.too_late())
                elif entry.refused and entry.slot in passable:
                    self._offer(entry)

    def end_waiting(self) -> None:
        """This process stops: answer for what no owner has answered for."""
        for entry in list(self._pending.values()):
            self._end(entry, entry.too_late())

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # what connections tell

    def on_ready(self, connection: CoreappConnection) -> None:
        incarnation = connection.address.incarnation
        self._ready[incarnation] = connection
        self._straight.clear()
        self._detours.up(incarnation)
        if self._map is None:
            return
        mine = {s.slot for s in self._map.slots if s.owner == incarnation}
        for entry in list(self._pending.values()):
            if entry.slot in mine:
                self._offer(entry)

    def on_lost(self, connection: CoreappConnection) -> None:
        incarnation = connection.address.incarnation
        if self._ready.get(incarnation) is not connection:
            return
        del self._ready[incarnation]
        self._straight.clear()
        if incarnation in self._tasks:  # else it was let go
            # One that fell silent has been away for long enough already.
            self._down(incarnation, 0.0 if connection.silent else PATIENCE_SECONDS)
        for entry in list(self._pending.values()):
            if entry.via == incarnation:
                self._offer(entry)
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

    # inside

    def _end(self, entry: Pending, outcome: bytes | ApiError) -> None:
        if self._forget(entry.message.id) is not None:
            try:
                entry.done(outcome)
            except Exception as error:
                _not_told(error)

    def _forget(self, message_id: bytes) -> Pending | None:
        entry = self._pending.pop(message_id, None)
        if entry is not None:
            size = len(entry.message.body)
            self._bytes -= size
            self._weights[entry.slot] -= size + LEAST_WEIGHT
        return entry

    def _takes_too_much(self, slot: int) -> bool:
        """Its shard has its even part of what may be held: the rest is left to the others."""
        shards = self._map.shards if self._map is not None else 1
        return sum(self._weights[slot % shards :: shards]) * shards >= MAX_HELD_BYTES

    def _on_acked(self, ids: list[bytes]) -> None:
        pending, weights = self._pending, self._weights
        for message_id in ids:
            entry = pending.pop(message_id, None)
            if entry is not None:  # as _forget, of which this is the many
                message = entry.message
                size = len(message.body)
                self._bytes -= size
                weights[message.slot] -= size + LEAST_WEIGHT
                try:
                    entry.done(message_id)
                except Exception as error:  # one request's, not that of those behind it
                    _not_told(error)

    def _on_refused(self, connection: CoreappConnection, frame: wire.Outcome) -> None:
        ids = dict.fromkeys(frame.ids)  # each once, whatever a peer says
        entries = [entry for i in ids if (entry := self._pending.get(i)) is not None]
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
        """The same request came before, perhaps to another webapp: its message is the one."""
        for offered, first in wire.pairs(frame.ids):
            entry = self._pending.get(offered)
            if entry is not None:
                self._end(entry, first)

    def _on_unreached(self, via: UUID, frame: wire.Outcome, entries: list[Pending]) -> None:
        """Who was to relay did not reach the owner either: try the next one, or wait."""
        owner = self._map.slots[frame.slot] if self._map is not None else None
        if owner is not None and owner.owner is not None and owner.epoch == frame.epoch:
            self._detours.failed(owner.owner, via, self._loop.time())
        for entry in entries:
            if entry.via == via and entry.epoch == frame.epoch:
                self._offer(entry)

    def _down(self, incarnation: UUID, patience: float) -> None:
        until = self._loop.time() + patience
        self._detours.down(incarnation, until)
        self._loop.call_at(until, self._go_around, incarnation)

    def _go_around(self, owner: UUID) -> None:
        """The link has been down for long enough: what waits goes through another coreapp."""
        if owner in self._ready or self._map is None:
            return
        mine = {s.slot for s in self._map.slots if s.owner == owner}
        for entry in list(self._pending.values()):
            if entry.refused and entry.slot in mine:
                self._offer(entry)

    def _way(self, slot: int) -> Way | None:
        """The slot's owner, and the link to it or to who relays; None: wait."""
        way = self._straight.get(slot)
        if way is not None:
            return way
        owner = self._map.slots[slot] if self._map is not None else None
        if owner is None or owner.owner is None or owner.successor is not None:
            # A slot on its way to a successor takes nothing any more: wait for the handover.
            return None
        connection = self._ready.get(owner.owner)
        if connection is not None:
            way = self._straight[slot] = Way(owner.epoch, connection, None)
            return way
        via = self._detours.via(owner.owner, self._ready.keys(), self._loop.time())
        return Way(owner.epoch, self._ready[via], owner.owner) if via is not None else None

    def _offer(self, entry: Pending) -> None:
        """Send to the owner if there is a way to it, else keep for the next map or sweep."""
        message = entry.message
        way = self._way(message.slot)
        if way is None or not way.connection.frames.take(message.ttl, message.key):
            entry.refused, entry.old_link = True, way is not None
            return
        entry.refused = entry.old_link = False
        connection = way.connection
        entry.epoch = way.epoch
        entry.via = connection.address.incarnation
        entry.offers += 1
        try:
            frame = connection.frames.message(
                message.slot,
                way.epoch,
                message.id,
                message.kind,
                message.recipient,
                message.body,
                message.ttl,
                message.key,
            )
        except ValueError as error:  # it fits no frame: the others that wait go their way
            log.error("message offer failed", exc_info=error)
            self._end(entry, ApiError("an internal error: the message does not fit into a frame"))
            return
        if way.relayed_to is not None:
            frame = wire.relay(way.relayed_to, frame)
        connection.send(frame)

    async def _keep(self, address: Address) -> None:
        """Keep one coreapp connected until cancelled, whatever goes wrong."""
        while True:
            try:
                await self._connect_again(address)
            except Exception:
                log.exception("link failed", extra={"coreapp": address.name})
                await asyncio.sleep(REFUSED_SECONDS)

    async def _connect_again(self, address: Address) -> None:
        attempt = 0
        connection: CoreappConnection | None = None
        try:
            while True:
                connection = CoreappConnection(self, address)
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
    """Whoever asked does not take the outcome; all others get theirs."""
    log.error("outcome handler failed", exc_info=error)


def _final(outcome: int, entry: Pending) -> ApiError | None:
    """The error that this outcome ends a request with; None if it is offered again."""
    match outcome:
        case wire.REFUSED:
            return ParameterInvalid("the message cannot be stored")
        case wire.CLASHED:
            return KeyTaken("this Idempotency-Key came before with another body")
        case wire.OVERLOADED if entry.offers <= 1:
            return Overloaded("the shard's queue is full; retry later")
    return None  # of those that are overloaded an earlier offer may be on disk: only its id goes on

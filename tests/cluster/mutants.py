"""Processes that lack one mechanism each: ``python mutants.py NAME coreapp``.

A checker counts only when the build without the mechanism fails it.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver

from warouter.cli import main
from warouter.cluster.lease import Lease
from warouter.flow.lanes import Entry, Lanes
from warouter.http.door import Connections
from warouter.link import wire
from warouter.net.acceptor import Acceptor
from warouter.net.names import Names
from warouter.owner.appender import Appender
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.store.election import LeaderSession
from warouter.upstream.protocol import Event


def ack_before_commit() -> None:
    """I1: the webapp hears 201 while the row is still in memory."""
    commit = Appender._commit

    async def early(self: Appender, batch: list[Any]) -> None:
        for webapp, frame, _ in batch:
            webapp.send(webapp.frames.outcome(wire.ACKED, frame.slot, frame.epoch, [frame.id]))
        await asyncio.sleep(0.25)  # long enough that a kill falls into it
        await commit(self, batch)

    Appender._commit = early  # type: ignore[method-assign]


def two_of_a_recipient_at_once() -> None:
    """I7: the next message of a recipient does not wait for the one that is to be tried again."""
    retry = Lanes.retry

    def impatient(self: Lanes, message_id: bytes, due: float) -> Entry | None:
        entry = retry(self, message_id, due)
        lane = self._lanes.get(entry.recipient) if entry else None
        if entry and lane and len(lane) > 1:
            lane.rotate(-1)
            self._later = [item for item in self._later if item[1] != entry.seq]
            self._ready.append((lane[0].seq, entry.recipient))
        return entry

    Lanes.retry = impatient  # type: ignore[method-assign]


def upstream_ack_before_commit() -> None:
    """I8: an event is acknowledged upstream while it is still in memory."""
    on_event, commit = Receipts.on_event, Receipts._commit

    def early(self: Receipts, slot: OwnedSlot, event: Event) -> None:
        self.ack(slot, [event.number])
        on_event(self, slot, event)

    async def slow(self: Receipts, batch: list[Any]) -> None:
        await asyncio.sleep(0.25)  # long enough that a kill falls into it
        await commit(self, batch)

    Receipts.on_event = early  # type: ignore[method-assign]
    Receipts._commit = slow  # type: ignore[method-assign]


def no_local_deadline() -> None:
    """I3: an owner acts for a slot until somebody tells it that it is not its own any more."""
    Ownership.may_act = lambda self, slot: slot in self.slots  # type: ignore[method-assign]
    Ownership.all_hold = lambda self: True  # type: ignore[method-assign]
    Lease.lapsed = lambda self, now: []  # type: ignore[method-assign]
    Lease.next_deadline = lambda self: None  # type: ignore[method-assign]


def new_before_old() -> None:
    """I7: a new owner sends what is new at once, and what its predecessor left a little later."""
    opened = Sender.opened

    async def backlog(self: Sender, slot: OwnedSlot, after: int, upto: int) -> None:
        await asyncio.sleep(0.3)
        while slot.open and after < upto:
            rows = await self._journal.page(slot.slot, after, upto, 500, 1 << 20)
            for row, age in rows:
                if not slot.cursor.settled(row.seq):
                    self.ready(slot, row, age)
            after = rows[-1][0].seq if len(rows) == 500 else upto
        self.pump(slot)

    def impatient(self: Sender, slot: OwnedSlot) -> None:
        after, slot.loaded = slot.loaded, slot.committed
        opened(self, slot)
        late = asyncio.ensure_future(backlog(self, slot, after, slot.committed))
        self._tasks.add(late)

    Sender.opened = impatient  # type: ignore[method-assign]


def no_fence() -> None:
    """I2, the leader's half: sessions of dead owners live on. The scenario has the other half."""

    async def nothing(self: LeaderSession, dead: Any) -> None:
        return

    LeaderSession.end_sessions = nothing  # type: ignore[method-assign]


def queue_is_reset() -> None:
    """I19: a listening socket is closed over the connections that wait in it."""

    def nothing(self: Acceptor[Any]) -> None:
        return

    Acceptor._take_queued = nothing  # type: ignore[method-assign]


def leave_at_once() -> None:
    """I19: connections are closed without a word, whoever is about to ask something."""

    async def none_is_left(self: Connections, within: float) -> bool:
        return True

    Connections.ended = none_is_left  # type: ignore[method-assign]


def one_resolver() -> None:
    """I15: names that clients chose are looked up where the loop looks up its database."""

    def of(self: Names, asker: object) -> AbstractResolver:
        return ThreadedResolver()

    Names.of = of  # type: ignore[method-assign]


MUTANTS = {
    f.__name__: f
    for f in (
        ack_before_commit,
        two_of_a_recipient_at_once,
        upstream_ack_before_commit,
        no_local_deadline,
        new_before_old,
        no_fence,
        queue_is_reset,
        leave_at_once,
        one_resolver,
    )
}

if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    main()

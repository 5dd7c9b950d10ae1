"""Which slots are ours, until when, under which epoch, and what happens when one closes.

Rules of this file:
  * a lease is renewed by a beat that came back, from the time *before* it was sent;
  * an epoch that was closed is spent: if the database still says the slot is ours, a new epoch is
    asked for (``Moves.renew``), never the old one taken up again;
  * whoever has to react to the end of an epoch stands in ``listeners``: ``close`` is the one place
    where an epoch ends.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from warouter._hash import SLOTS
from warouter.background import wait_for
from warouter.cluster.lease import Lease
from warouter.cluster.role import SlotEvent, SlotState
from warouter.config import Timing
from warouter.owner.listener import SlotListener
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import SlotTasks
from warouter.store.beats import NodeSession

log = logging.getLogger(__name__)


class Standing:
    """State of one slot number that outlives its epochs."""

    __slots__ = ("busy", "confirmed", "renewed", "seen", "spent")

    def __init__(self) -> None:
        self.spent = -1  # the highest epoch that has ended here
        self.seen = 0  # an epoch that the upstream has seen: the next one must be above it
        self.confirmed = -math.inf  # when the last beat was sent, if it renewed the slot
        self.renewed = -math.inf  # when the slot last got a new epoch by renewal
        self.busy = False  # a task is opening, renewing or handing over the slot


class Ownership:
    """The slots of this incarnation. ``slots`` holds what is open, by slot number."""

    def __init__(self, session: NodeSession, timing: Timing, clock: Callable[[], float]) -> None:
        self._session = session
        self._clock = clock
        self._lease = Lease(timing.trust)
        self._lease_changed = asyncio.Event()
        self.slots: dict[int, OwnedSlot] = {}
        self.standings = tuple(Standing() for _ in range(SLOTS))
        self.listeners: Sequence[SlotListener] = ()
        self.tasks = SlotTasks(self.doubt)
        self.beat_wanted = asyncio.Event()
        self.progress = asyncio.Event()
        self.emptied = asyncio.Event()
        self.parked = asyncio.Event()  # something may be, which nobody looks for otherwise

    # asked all the time

    def may_act(self, slot: int) -> bool:
        """True if this incarnation may act for the slot at this very instant."""
        return slot in self.slots and self._session.alive and self._lease.holds(slot, self._clock())

    def all_hold(self) -> bool:
        """No open slot's deadline has passed: what was queued before may leave.

        The clock is read last: a process frozen after that still writes when it wakes.
        """
        deadline = self._lease.next_deadline()
        return self._session.alive and (deadline is None or self._clock() < deadline)

    def idle(self, slot: OwnedSlot) -> bool:
        """True if nothing of the slot is on its way, so that it can be handed over."""
        return all(listener.idle(slot) for listener in self.listeners)

    def quiet(self, slot: OwnedSlot) -> bool:
        """No request of the slot is out at the upstream; callbacks may be."""
        return all(listener.quiet(slot) for listener in self.listeners)

    def take_back(self, slot: OwnedSlot) -> None:
        """Begin nothing of the slot any more; the next record takes back what was issued."""
        for listener in self.listeners:
            listener.take_back(slot)

    def still_open(self, epochs: Mapping[int, int]) -> list[OwnedSlot]:
        """Return the slots that are open under just these epochs."""
        found = [self.slots.get(number) for number in epochs]
        return [slot for slot in found if slot is not None and slot.epoch == epochs[slot.slot]]

    # signals

    def wake(self) -> None:
        """Beat now: something may have changed."""
        self.beat_wanted.set()

    def progressed(self) -> None:
        """A commit or an answer came: a drain may be complete."""
        self.progress.set()

    # the life of a slot

    def begin_epochs(self, epochs: Mapping[int, int]) -> None:
        """Slots enter OPENING, under the lease that the last beat confirmed."""
        for number, epoch in epochs.items():
            self.slots[number] = OwnedSlot(number, epoch)
            self._lease.renewed(self.standings[number].confirmed, [number])
        self._lease_changed.set()

    def opened(self, epochs: Mapping[int, int]) -> None:
        """Make ACTIVE what was begun and is read now; every listener hears of it."""
        begun = self.still_open(epochs)
        for slot in begun:
            slot.happened(SlotEvent.OPENED)
        for slot in begun:
            for listener in self.listeners:
                listener.opened(slot)
        self.parked.set()
        if begun:
            log.info("slots opened", extra={"slots": {s.slot: s.epoch for s in begun}})

    def close(self, slot: OwnedSlot, why: SlotEvent) -> None:
        """End this epoch of a slot: what is in memory is thrown away, and every listener hears."""
        number = slot.slot
        if self.slots.get(number) is not slot:
            return  # a verdict on an epoch that has ended already
        del self.slots[number]
        slot.happened(why)
        self._lease.end(number)
        standing = self.standings[number]
        standing.spent = max(standing.spent, slot.epoch)
        level = logging.INFO if why is SlotEvent.HANDED_OVER else logging.WARNING
        extra = {"slot": number, "epoch": slot.epoch, "reason": why.value}
        log.log(level, "slot closed", extra=extra)
        for listener in self.listeners:
            listener.closed(slot)
        if not self.slots:
            self.emptied.set()
        self.wake()

    def doubt(self, owned: Mapping[int, int], why: str) -> None:
        """The outcome of a write is not known: its slots go on under new epochs only."""
        for slot in self.still_open(owned):
            self.close(slot, SlotEvent.DOUBTED)
        if owned:
            extra = {"slots": sorted(owned), "reason": why}
            log.warning("slots closed: outcome unknown", extra=extra)

    def recorded(self, slots: Iterable[OwnedSlot]) -> None:
        """Progress of these slots is on disk."""
        for slot in slots:
            if slot.open:
                for listener in self.listeners:
                    listener.recorded(slot)
        self.progressed()

    # leases

    def renewed(self, sent: float, epochs: Mapping[int, int]) -> None:
        """A beat that was sent at ``sent`` came back and renewed these epochs."""
        for number, standing in enumerate(self.standings):
            standing.confirmed = sent if number in epochs else -math.inf
        before = self._lease.next_deadline()
        self._lease.renewed(sent, [slot.slot for slot in self.still_open(epochs)])
        if before is None:  # else the watcher wakes at the old deadline and reads the later one
            self._lease_changed.set()

    async def watch_deadlines(self) -> None:
        """At a deadline nothing more is sent: the slot closes, the upstream socket with it."""
        while True:
            self._lease_changed.clear()
            deadline = self._lease.next_deadline()
            now = self._clock()
            if deadline is not None and now >= deadline:
                self._lapse(self._lease.lapsed(now))
                continue
            await wait_for(self._lease_changed, None if deadline is None else deadline - now)

    def _lapse(self, late: Collection[int]) -> None:
        slots = [slot for n in late if (slot := self.slots.get(n)) is not None]
        sending = any(slot.state is SlotState.ACTIVE for slot in slots)
        for number in late:
            self._lease.end(number)
        for slot in slots:
            self.close(slot, SlotEvent.LAPSED)
        if sending:
            for listener in self.listeners:
                listener.lapsed()

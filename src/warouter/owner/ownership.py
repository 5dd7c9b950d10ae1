"""Which slots are ours, until when, under which epoch: beats, leases, opening and handing over.

Rules of this file:
  * a lease is renewed by a beat that came back, from the moment *before* it was sent;
  * an epoch that was closed is spent: if the database still says the slot is ours, a new epoch is
    asked for (``renew``), never the old one taken up again;
  * beats never wait for journals: opening, renewing and handing over run beside them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Set

from warouter import background
from warouter.background import wait_for
from warouter.cluster.lease import Lease
from warouter.cluster.role import Happened, State
from warouter.config import Timing
from warouter.errors import OutcomeUnknown
from warouter.flow.parking import Parked
from warouter.kinds import EVENT_KINDS
from warouter.log import Outage
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import SlotTasks
from warouter.store.journal import Journal
from warouter.store.nodes import Beat, NodeSession

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.05
RENEW_SECONDS = 0.25
LEAVE_SECONDS = 3.0


class Ownership:
    """The slots of this incarnation. ``slots`` holds what is open, by slot number."""

    def __init__(
        self,
        session: NodeSession,
        journal: Journal,
        timing: Timing,
        clock: Callable[[], float],
        upstream_ok: Callable[[], bool],
        pending: float = math.inf,
        journal_ok: Callable[[], bool] = lambda: True,
    ) -> None:
        self._session = session
        self._journal = journal
        self._timing = timing
        self._clock = clock
        self._upstream_ok = upstream_ok
        self._journal_ok = journal_ok
        self._pending = pending  # seconds that a message may wait
        self._lease = Lease(timing.trust)
        self._spent: dict[int, int] = {}
        self._confirmed: dict[int, float] = {}  # when the last beat that renewed a slot was sent
        self._renewed: dict[int, float] = {}  # when a slot last got a new epoch by renewal
        self._floor: dict[int, int] = {}  # epochs the upstream has seen
        self._busy: set[int] = set()  # slots that a task is opening, renewing or handing over
        self.tasks = SlotTasks(self.doubt)
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()
        self._emptied = asyncio.Event()
        self._lease_changed = asyncio.Event()
        self.slots: dict[int, OwnedSlot] = {}
        # Who wants to know. ``beaten`` is called after each confirmed beat, ``lapsed`` when a
        # deadline has passed for a slot that may have been sending.
        self.opened: list[Callable[[OwnedSlot], None]] = []
        self.closed: list[Callable[[OwnedSlot], None]] = []
        self.beaten: list[Callable[[Beat], None]] = []
        self.lapsed: list[Callable[[], None]] = []
        self.recorded: Callable[[OwnedSlot], None] = lambda _slot: None
        self.flush: Callable[[], Awaitable[None]] | None = None
        self.quiet: Callable[[OwnedSlot], bool] = lambda _slot: True

    # asked all the time

    def may_act(self, slot: int) -> bool:
        """Whether this incarnation may act for the slot at this very moment."""
        return slot in self.slots and self._session.alive and self._lease.holds(slot, self._clock())

    def all_hold(self) -> bool:
        """No open slot's deadline has passed: what was queued a moment ago may leave."""
        now = self._clock()
        return self._session.alive and all(self._lease.holds(slot, now) for slot in self.slots)

    def wake(self) -> None:
        """Beat now: something may have changed."""
        self._wake.set()

    def progressed(self) -> None:
        """A commit or an answer came: a drain may be complete."""
        self._progress.set()

    # what happens to slots

    def close(self, slot: OwnedSlot, why: Happened) -> None:
        """This epoch of a slot ends here; what is in memory is thrown away."""
        number = slot.slot
        if self.slots.get(number) is not slot:
            return  # a verdict on an epoch that has ended already
        del self.slots[number]
        slot.happened(why)
        self._lease.end(number)
        self._spent[number] = max(self._spent.get(number, 0), slot.epoch)
        level = logging.INFO if why is Happened.HANDED_OVER else logging.WARNING
        log.log(
            level, "slot closed", extra={"slot": number, "epoch": slot.epoch, "reason": why.value}
        )
        for tell in self.closed:
            tell(slot)
        if not self.slots:
            self._emptied.set()
        self.wake()

    def above(self, number: int, seen: int) -> None:
        """The upstream has seen this epoch of the slot: the next renewal goes above it."""
        self._floor[number] = max(self._floor.get(number, 0), seen)

    def doubt(self, owned: Mapping[int, int], why: str) -> None:
        """The outcome of a write is not known: its slots go on under new epochs only."""
        for number, epoch in owned.items():
            slot = self.slots.get(number)
            if slot is not None and slot.epoch == epoch:
                self.close(slot, Happened.DOUBTED)
        if owned:
            log.warning(
                "slots closed: outcome unknown", extra={"slots": sorted(owned), "reason": why}
            )

    # tasks

    async def run(self) -> None:
        """Beat for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat_loop())
            group.create_task(self._watch_deadlines())

    async def leave(self) -> None:
        """Ask for successors and hand everything over; bounded, the lease is the safety net."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                # A spare says so too: it is no heir any more, and its end is no crash.
                while await self._session.say_leaving() and self.slots:
                    self._emptied.clear()
                    await wait_for(self._emptied, self._timing.beat)
                left = {n: s.epoch for n, s in self.slots.items() if n not in self._busy}
                await self._give_up(left, self._journal.release)
        except Exception as error:
            log.warning("shutdown handover failed", extra={"error": str(error)})

    async def _beat_loop(self) -> None:
        missing = Outage()
        while True:
            self._wake.clear()
            sent = self._clock()
            try:
                beat = await self._session.beat(
                    self._upstream_ok(), self._timing.trust, journal_ok=self._journal_ok()
                )
            except OutcomeUnknown as error:
                if missing.begins():
                    log.warning("beat failed", extra={"error": str(error)})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            missing.ends()
            self._confirm(sent, beat)
            await wait_for(self._wake, self._timing.beat)

    def _confirm(self, sent: float, beat: Beat) -> None:
        self._confirmed = dict.fromkeys(beat.renewed, sent)
        same = [
            n
            for n, epoch in beat.renewed.items()
            if n in self.slots and self.slots[n].epoch == epoch
        ]
        self._lease.renewed(sent, same)
        self._lease_changed.set()
        self._reconcile(beat)
        for tell in self.beaten:
            tell(beat)

    def _reconcile(self, beat: Beat) -> None:
        """Make what is open follow what the database says."""
        for number, slot in list(self.slots.items()):
            said = beat.renewed.get(number, beat.handing.get(number))
            if number not in self._busy and (said is None or said > slot.epoch):
                self.close(slot, Happened.FENCED)
        fresh: dict[int, int] = {}
        spent: list[int] = []
        for number, epoch in beat.renewed.items():
            if number in self.slots or number in self._busy:
                continue
            if epoch > self._spent.get(number, -1):
                fresh[number] = epoch
            else:
                spent.append(number)
        handing = {n: e for n, e in beat.handing.items() if n not in self._busy}
        if fresh:
            self._begin(fresh, self._open(fresh))
        if spent:
            self._begin(spent, self._renew(spent))
        if handing:
            self._begin(handing, self._hand_over(handing))

    def _begin(self, slots: Mapping[int, int] | list[int], work: Awaitable[None]) -> None:
        numbers = set(slots)
        self._busy |= numbers
        moved = self._moved(numbers, work)
        background.begin(moved, lambda error: self.tasks.failed(self._open_of(numbers), error))

    async def _moved(self, numbers: set[int], work: Awaitable[None]) -> None:
        try:
            # Whatever it was: a slot must not stay half open, nor this process half alive.
            if not await self.tasks.guard(lambda: self._open_of(numbers), work):
                log.warning("slot move failed", extra={"slots": sorted(numbers)})
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._busy -= numbers
            self.progressed()
            self.wake()

    def _open_of(self, numbers: Set[int]) -> dict[int, int]:
        return {n: slot.epoch for n, slot in self.slots.items() if n in numbers}

    async def _open(self, epochs: Mapping[int, int]) -> None:
        """Begin epochs: one synchronous write under each, then read where the journal stands."""
        for number, epoch in epochs.items():
            self.slots[number] = OwnedSlot(number, epoch)
            self._lease.renewed(self._confirmed.get(number, float("-inf")), [number])
        self._lease_changed.set()
        opened = {o.slot: o for o in await self._journal.open(epochs)}
        page = Parked().page
        lanes = [(n, kind) for n in opened for kind in EVENT_KINDS]
        parked = await self._journal.parked(list(opened), self._pending, page)
        parked_events = await self._journal.parked_events(lanes, page)
        now = self._clock()
        for number, epoch in epochs.items():
            slot = self.slots.get(number)
            if slot is None or slot.epoch != epoch:
                continue
            if number not in opened:
                self.close(slot, Happened.FENCED)
                continue
            slot.opened(opened[number])
            slot.parked.read([r for r in parked if r["slot"] == number], now)
            mine = [r for r in parked_events if r["slot"] == number]
            for kind, events in enumerate(slot.events):
                events.parked.read([r for r in mine if r["kind"] == kind], now)
        self._announce(epochs)

    def _announce(self, epochs: Mapping[int, int]) -> None:
        begun = [
            slot
            for n, epoch in epochs.items()
            if (slot := self.slots.get(n)) is not None and slot.epoch == epoch
        ]
        for slot in begun:
            slot.happened(Happened.OPENED)
        for slot in begun:
            for tell in self.opened:
                tell(slot)
        if begun:
            log.info("slots opened", extra={"slots": {s.slot: s.epoch for s in begun}})

    async def _renew(self, numbers: list[int]) -> None:
        now = self._clock()
        if any(now - self._renewed.get(n, float("-inf")) < RENEW_SECONDS for n in numbers):
            await asyncio.sleep(RENEW_SECONDS)  # whatever is wrong, it is not cured by haste
        self._renewed.update(dict.fromkeys(numbers, self._clock()))
        epochs = await self._journal.renew(numbers, [self._floor.get(n, 0) for n in numbers])
        if epochs:
            await self._open(epochs)

    async def _hand_over(self, epochs: Mapping[int, int]) -> None:
        await self._give_up(epochs, self._journal.hand_over)

    async def _give_up(
        self,
        epochs: Mapping[int, int],
        give: Callable[[Mapping[int, int]], Awaitable[set[int]]],
    ) -> None:
        """Let what is out finish for a moment, record, and give the slots away."""
        if not epochs:
            return
        slots = [
            slot
            for n, epoch in epochs.items()
            if (slot := self.slots.get(n)) is not None and slot.epoch == epoch
        ]
        for slot in slots:
            slot.happened(Happened.SUCCESSOR)
        await self._drained(slots)
        if self.flush is not None:
            await self.flush()
        moved = await give(epochs)
        for slot in slots:
            self.close(slot, Happened.HANDED_OVER if slot.slot in moved else Happened.FENCED)

    async def _drained(self, slots: list[OwnedSlot]) -> None:
        give_up = self._clock() + self._timing.drain
        while any(s.open and not self._idle(s) for s in slots):
            remaining = give_up - self._clock()
            if remaining <= 0:
                # What has no answer yet is sent again by the successor, and dropped by its id.
                busy = [s.slot for s in slots if not self._idle(s)]
                log.warning("handover wait timed out", extra={"slots": busy})
                return
            self._progress.clear()
            await wait_for(self._progress, remaining)

    def _idle(self, slot: OwnedSlot) -> bool:
        # Without the upstream's claim no answer will come any more.
        answered = slot.lanes.out == 0 or not slot.claimed
        return slot.appending == 0 and answered and self.quiet(slot)

    async def _watch_deadlines(self) -> None:
        """At a deadline nothing more is sent: the slot closes, the upstream socket with it."""
        while True:
            self._lease_changed.clear()
            deadline = self._lease.next_deadline()
            now = self._clock()
            if deadline is not None and now >= deadline:
                self._lapse(now)
                continue
            await wait_for(self._lease_changed, None if deadline is None else deadline - now)

    def _lapse(self, now: float) -> None:
        late = self._lease.lapsed(now)
        slots = [slot for n in late if (slot := self.slots.get(n)) is not None]
        sending = any(slot.state is State.ACTIVE for slot in slots)
        for number in late:
            self._lease.end(number)
        for slot in slots:
            self.close(slot, Happened.LAPSED)
        if sending:
            for tell in self.lapsed:
                tell()

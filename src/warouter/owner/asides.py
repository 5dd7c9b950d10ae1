"""Numbers whose messages are aside in a slot: they go, are read back in pages, and come back.

``flow.aside`` and ``flow.consumers`` decide whose a row is. Here a number that is paused goes aside
in each slot: what waits of it leaves memory, and nothing is read before it is active again. What is
out ends as ever; what was out and is to go again is parked, and so is what comes up of those
(``owner.stopped``). One page a slot is read at a time, of each number in turn.
"""

from __future__ import annotations

from collections.abc import Callable

from warouter.cluster.role import SlotState
from warouter.flow.aside import Aside, AsideReason, AsideStretch
from warouter.owner.backlog import Backlog
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.slot import MAX_IN_MEMORY, OwnedSlot
from warouter.store.beats import Beat
from warouter.store.journal import Journal

SHARE = MAX_IN_MEMORY // 8  # rows of a slot that a number has in memory from aside
PAGE_BYTES = 64 << 10


class Asides(SlotListener):
    """The numbers that are aside, in every open slot. ``queues`` tells if a row of a slot and
    number waits for its commit.
    """

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        backlog: Backlog,
        queues: Callable[[OwnedSlot, int], bool],
    ) -> None:
        self._ownership = ownership
        self._journal = journal
        self._recorder = recorder
        self._backlog = backlog
        self._queues = queues
        self._inactive: frozenset[int] = frozenset()
        self._reading: set[OwnedSlot] = set()
        self.read = 0  # rows

    # who is aside

    def beaten(self, beat: Beat) -> None:
        """Adopt which numbers are paused, in every slot at once."""
        if beat.inactive == self._inactive:  # nearly always
            return
        self._inactive = beat.inactive
        for slot in list(self._ownership.slots.values()):
            if slot.state is not SlotState.OPENING:
                self._adopt(slot)
        self._ownership.parked.set()

    def opened(self, slot: OwnedSlot) -> None:
        """Before anything of the slot is read: what is known to be paused does not go."""
        self._adopt(slot)
        if slot.consumers.aside:
            self._recorder.touch(slot)

    def closed(self, slot: OwnedSlot) -> None:
        self._reading.discard(slot)

    def recorded(self, slot: OwnedSlot) -> None:
        if slot.consumers.aside:
            self._go_on(slot)

    def rests(self, slot: OwnedSlot) -> bool:
        """True if nobody of the slot is to go aside, to be read, or to come back."""
        aside, stopped = slot.consumers.aside, slot.stopped
        if not aside and not stopped:  # nearly always
            return True
        return aside.keys() == stopped and all(each.upto is None for each in aside.values())

    async def look_at(self, slot: OwnedSlot) -> None:
        self._adopt(slot)
        self._go_on(slot)

    def _adopt(self, slot: OwnedSlot) -> None:
        before, slot.stopped = slot.stopped, self._inactive
        aside = slot.consumers.aside
        for number in self._inactive:
            found = aside.get(number)
            if number not in before or found is None or found.upto is not None:
                self._enter(slot, number)

    def _enter(self, slot: OwnedSlot, number: int) -> None:
        waiting, out = slot.lanes.of_number(number)
        if not slot.consumers.may_enter(number, out):  # its lists are full: with a later look
            return
        seqs, why = [entry.seq for entry in waiting], AsideReason.PAUSED
        gone = set(slot.consumers.enter(number, number, why, waiting=seqs, out=out))
        slot.lanes.take_out([entry for entry in waiting if entry.seq in gone])
        slot.ahead -= gone
        self._recorder.touch(slot)
        self._backlog.pump(slot)

    def _go_on(self, slot: OwnedSlot) -> None:
        """Let who may leave, and read on."""
        log = slot.messages
        for number, aside in slot.consumers.aside.items():
            if (
                number not in slot.stopped
                and aside.may_leave(log.committed, SHARE, queued=False)
                and not self._queues(slot, number)
            ):
                slot.consumers.leave(number, slot.next_record)
                self._recorder.touch(slot)
        if slot not in self._reading and self._next(slot) is not None:
            self._reading.add(slot)
            self._ownership.tasks.begin_task(slot, self._read(slot))

    # reading

    async def _read(self, slot: OwnedSlot) -> None:
        try:
            while slot.open and (found := self._next(slot)) is not None:
                await self._page(slot, *found)
        finally:
            self._reading.discard(slot)

    def _next(self, slot: OwnedSlot) -> tuple[Aside, AsideStretch] | None:
        """The next page to read, of the number that was read longest ago."""
        log = slot.messages
        if slot.state is not SlotState.ACTIVE or not log.has_room:
            return None
        for number, aside in slot.consumers.aside.items():
            if number not in slot.stopped and len(aside.held) < SHARE:
                stretch = aside.stretch(log.loaded, log.committed)
                if stretch is not None:
                    return aside, stretch
        return None

    async def _page(self, slot: OwnedSlot, aside: Aside, stretch: AsideStretch) -> None:
        log, number = slot.messages, aside.number
        let_go = log.parked.let_go
        rows = await self._journal.aside_page(slot.slot, number, stretch, PAGE_BYTES)
        if log.parked.beyond:
            await self._backlog.parked.find(slot, {row.lane for row in rows})
        # Else rows of a lane that was unparked meanwhile may be missing, see the pager.
        if not slot.open or number in slot.stopped or log.parked.let_go != let_go:
            return
        full = len(rows) == stretch.limit or sum(row.size for row in rows) >= PAGE_BYTES
        new = set(aside.read(stretch, [row.seq for row in rows], full=full))
        log.dirty = True
        for row in rows:
            if row.seq in new:
                self._backlog.take_aside(slot, row)
        self.read += len(new)
        self._recorder.touch(slot, len(rows))
        if number in slot.consumers.aside:  # it goes to the end of the round
            slot.consumers.aside[number] = slot.consumers.aside.pop(number)
        self._backlog.pump(slot)

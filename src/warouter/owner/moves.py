"""Opening slots, renewing epochs, and giving slots away: what takes writes, beside the beats."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from uuid import UUID

import asyncpg

from warouter import background
from warouter.background import wait_for
from warouter.cluster.role import SlotEvent
from warouter.config import Timing
from warouter.errors import OutcomeUnknown
from warouter.flow.parking import Parking
from warouter.kinds import EVENT_KINDS
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.store.bounded import Fetch
from warouter.store.history import note_opened
from warouter.store.journal import Journal

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.05
RENEW_SECONDS = 0.25
TOGETHER_SECONDS = 0.05


class Moves:
    """Carries out what a beat asks for; one task at a time has a slot."""

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        timing: Timing,
        clock: Callable[[], float],
        pending: float = math.inf,
        *,
        issues: bool = False,
    ) -> None:
        self._ownership = ownership
        self._journal = journal
        self._recorder = recorder
        self._timing = timing
        self._clock = clock
        self._pending = pending  # seconds that a message may wait
        self._issues = issues  # requests have issue rows

    def begin_moves(
        self, fresh: Mapping[int, int], spent: Sequence[int], handing: Mapping[int, int]
    ) -> None:
        """Open ``fresh`` epochs, renew ``spent`` ones, hand over those that have a successor."""
        if fresh:
            self._begin(fresh, self.open(fresh))
        if spent:
            self._begin(spent, self.renew(spent))
        if handing:
            self._begin(handing, self._give_up(handing, self._journal.hand_over))

    async def open(self, epochs: Mapping[int, int]) -> None:
        """Begin epochs: one synchronous write under each, then read where the journal stands."""
        self._ownership.begin_epochs(epochs)
        opened = {o.slot: o for o in await self._journal.open(epochs)}
        if self._issues:
            await self._journal.open_issues(epochs)
        page = Parking().page
        lanes = [(n, kind) for n in opened for kind in EVENT_KINDS]
        parked = await self._journal.parked(list(opened), self._pending, page)
        parked_events = await self._journal.parked_events(lanes, page)
        now = self._clock()
        for slot in self._ownership.still_open(epochs):
            number = slot.slot
            if number not in opened:
                self._ownership.close(slot, SlotEvent.FENCED)
                continue
            slot.opened(opened[number])
            slot.messages.parked.read([r for r in parked if r["slot"] == number], now)
            mine = [r for r in parked_events if r["slot"] == number]
            for kind, events in enumerate(slot.events):
                events.parked.read([r for r in mine if r["kind"] == kind], now)
        self._ownership.opened(epochs)

    async def renew(self, numbers: Sequence[int]) -> None:
        """Ask for new epochs of slots that are still ours, and open them."""
        now, standings = self._clock(), [self._ownership.standings[n] for n in numbers]
        if any(now - standing.renewed < RENEW_SECONDS for standing in standings):
            await asyncio.sleep(RENEW_SECONDS)  # an immediate retry would not help
        for standing in standings:
            standing.renewed = self._clock()
        epochs = await self._journal.renew(numbers, [standing.seen for standing in standings])
        if epochs:
            await self.open(epochs)

    async def succeeded(self) -> bool:
        """Say that this process stops; whether others have its slots, or nobody could have them."""
        return not (await self._journal.say_leaving() and await self._expects_slots())

    async def released(self) -> bool:
        """Leave what is left without an owner; whether nothing of it is ours now."""
        await self._release_all()
        return not await self._expects_slots()

    async def _expects_slots(self) -> bool:
        return bool(self._ownership.slots) or await self._journal.expects_slots()

    async def _release_all(self) -> None:
        """Leave every slot without an owner, as this process stops, once no task has one: what is
        being handed over then has gone.
        """
        ownership = self._ownership
        while any(standing.busy for standing in ownership.standings):
            ownership.progress.clear()
            await ownership.progress.wait()
        left = {n: slot.epoch for n, slot in ownership.slots.items()}
        await self._give_up(left, self._journal.release)

    def _begin(self, slots: Collection[int], work: Awaitable[None]) -> None:
        numbers = set(slots)
        for number in numbers:
            self._ownership.standings[number].busy = True
        moved = self._moved(numbers, work)
        failed = self._ownership.tasks.failed
        background.begin(moved, lambda error: failed(self._open_of(numbers), error))

    async def _moved(self, numbers: set[int], work: Awaitable[None]) -> None:
        ownership = self._ownership
        try:
            # Whatever it was: a slot must not stay half open, nor this process half alive.
            if not await ownership.tasks.guard(lambda: self._open_of(numbers), work):
                log.warning("slot move failed", extra={"slots": sorted(numbers)})
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            for number in numbers:
                ownership.standings[number].busy = False
            ownership.progressed()
            ownership.wake()

    def _open_of(self, numbers: set[int]) -> dict[int, int]:
        return {n: slot.epoch for n, slot in self._ownership.slots.items() if n in numbers}

    async def _give_up(
        self, epochs: Mapping[int, int], give: Callable[[Mapping[int, int]], Awaitable[set[int]]]
    ) -> None:
        """Give what is out some time to finish, record, and give the slots away."""
        if not epochs:
            return
        slots = self._ownership.still_open(epochs)
        for slot in slots:
            slot.happened(SlotEvent.SUCCESSOR)
        await self._drained(slots)
        await self._recorder.flush()
        moved = await give(epochs)
        for slot in slots:
            why = SlotEvent.HANDED_OVER if slot.slot in moved else SlotEvent.FENCED
            self._ownership.close(slot, why)

    async def _drained(self, slots: Sequence[OwnedSlot]) -> None:
        idle, progress = self._ownership.idle, self._ownership.progress
        give_up = self._clock() + self._timing.drain
        while any(s.open and not idle(s) for s in slots):
            remaining = give_up - self._clock()
            if remaining <= 0:
                # What has no answer yet is sent again by the successor, and dropped by its id.
                busy = [s.slot for s in slots if not idle(s)]
                log.warning("handover wait timed out", extra={"slots": busy})
                return
            progress.clear()
            await wait_for(progress, remaining)


class Openings(SlotListener):
    """Notes in the owner log when slots were opened, so that people see how long they paused.

    Nothing depends on it: once for slots that open together, and what cannot be written is left
    out. ``fetch`` is for what belongs to no slot: no write of a slot waits behind it.
    """

    def __init__(self, fetch: Fetch, incarnation: UUID, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._incarnation = incarnation
        self._clock = clock
        self._opened: list[tuple[int, int, float]] = []
        self._news = asyncio.Event()

    def opened(self, slot: OwnedSlot) -> None:
        self._opened.append((slot.slot, slot.epoch, self._clock()))
        self._news.set()

    async def run(self) -> None:
        """Note what opens, until cancelled."""
        while True:
            await self._news.wait()
            await asyncio.sleep(TOGETHER_SECONDS)
            self._news.clear()
            opened, self._opened = self._opened, []
            now = self._clock()
            noted = [(slot, epoch, round((now - at) * 1000)) for slot, epoch, at in opened]
            try:
                await note_opened(self._fetch, self._incarnation, noted)
            except (OutcomeUnknown, asyncpg.PostgresError) as error:
                extra = {"slots": [slot for slot, _, _ in opened], "error": str(error)}
                log.info("note of openings failed", extra=extra)

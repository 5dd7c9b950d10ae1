"""Events of one kind from their journal to the webhook delivery.

What is committed goes on from memory; what does not fit waits in the journal and is read back by
the pager; what is parked is taken up when it is due.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from warouter.app_settings import ApplicationSettings
from warouter.flow.event import EventRow, size_of_all
from warouter.flow.log import Memory, SlotLog
from warouter.owner.ownership import Ownership
from warouter.owner.pager import Pager
from warouter.owner.parked.log import Chosen, ParkedLog
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal, Stretch
from warouter.webhook.callbacks import Callbacks
from warouter.webhook.owner import EventOwner
from warouter.webhook.shown import shown, shows_all

PARKED_PAGE = 100


class EventFeed:
    """Events of one kind, of every open slot. None goes before ``begin``."""

    what = "event"

    def __init__(
        self,
        kind: int,
        delivery: Callbacks,
        owner: EventOwner,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        app_settings: Callable[[int], ApplicationSettings],
        clock: Callable[[], float],
    ) -> None:
        self.kind = kind
        self._delivery = delivery
        self._owner = owner
        self._begun = False
        self._ownership = ownership
        self._journal = journal
        self._recorder = recorder
        self._app_settings = app_settings
        self._clock = clock
        self.parked = ParkedLog(self, ownership, journal, recorder, clock)
        self._pager = Pager[EventRow](self, self.parked, ownership, recorder)

    def begin(self) -> None:
        """It is known from here on which events are wanted."""
        if not self._begun:
            self._begun = True
            for slot in self._ownership.slots.values():
                self.read_on(slot)

    def opened(self, slot: OwnedSlot) -> None:
        """Block recipients of parked rows, as nothing may overtake these, and read the journal."""
        self.block(slot, list(self.log(slot).parked))
        self.read_on(slot)

    def read_on(self, slot: OwnedSlot) -> None:
        if self._begun:
            self._pager.read_on(slot)

    def committed(self, slot: OwnedSlot, rows: Sequence[EventRow]) -> None:
        """Events are on disk, in seq order."""
        log, wants = slot.events[self.kind], self._begun
        size = size_of_all(rows)
        if wants and log.appended_run(rows[-1].seq, len(rows), size):
            self._take(slot, rows, size)
            return
        for row in rows:
            if log.appended(row.seq, wanted=wants):
                self.take(slot, row)
            elif log.parked.beyond and log.half_empty:
                self.read_on(slot)

    def refill(self, slot: OwnedSlot) -> None:
        """There may be room for what waits in the journal."""
        if self._begun:
            self._pager.read_on_if_empty(slot)

    def memory(self, slot: OwnedSlot) -> Memory:
        return slot.delivered[self.kind]

    # the source of pager and parked

    def log(self, slot: OwnedSlot) -> SlotLog:
        return slot.events[self.kind]

    async def pages(
        self, stretches: Sequence[Stretch], limit: int, most_bytes: int
    ) -> Mapping[int, Sequence[EventRow]]:
        return await self._journal.event_pages(self.kind, stretches, limit, most_bytes)

    def take(self, slot: OwnedSlot, row: EventRow) -> None:
        self._take(slot, [row], row.size)

    def _take(self, slot: OwnedSlot, rows: Sequence[EventRow], size: int) -> None:
        """Deliver what of these rows, of ``size`` bytes, is wanted, in the form that is wanted."""
        settings = {number: self._app_settings(number) for number in {row.number for row in rows}}
        items = rows
        if not all(shows_all(self.kind, each) for each in settings.values()):
            items = []
            for row in rows:
                seen = shown(row.kind, row.key, row.payload, settings[row.number])
                if seen is None:
                    self.log(slot).settle(row.seq)
                else:
                    items.append(row if seen is row.payload else replace(row, payload=seen))
            if len(items) < len(rows):
                self._recorder.touch(slot, len(rows) - len(items))
            size = size_of_all(items)
        if items:
            slot.delivered[self.kind].hold(len(items), size)
            self._delivery.add(items)

    def paged(self, slot: OwnedSlot) -> None:
        """The delivery goes on by itself."""

    def may_take_up(self, slot: OwnedSlot) -> bool:
        return slot.accepts and self.log(slot).has_room

    def goes(self, _slot: OwnedSlot, _key: str) -> bool:
        return True

    def at_once(self) -> int:
        return 1

    async def first(self, slot: OwnedSlot, rows: int) -> Sequence[Any]:
        return await self._journal.parked_events([(slot.slot, self.kind)], rows)

    async def among(self, slot: OwnedSlot, lanes: Collection[str]) -> Sequence[Any]:
        return await self._journal.parked_events_among(slot.slot, self.kind, lanes)

    async def rows(
        self, slot: OwnedSlot, lanes: Collection[str]
    ) -> Mapping[str, tuple[Sequence[Any], bool]]:
        read: dict[str, tuple[Sequence[Any], bool]] = {}
        for lane in lanes:
            rows = await self._journal.parked_events_of(slot.slot, lane, self.kind, PARKED_PAGE)
            read[lane] = rows, len(rows) >= PARKED_PAGE
        return read

    def choose(self, _slot: OwnedSlot, rows: Sequence[Any], *, due: bool) -> Chosen[Any]:
        """An event ends by nothing but its delivery, so all of them go out."""
        return Chosen(list(rows))

    def release(self, slot: OwnedSlot, entries: Sequence[Any], *, due: bool) -> None:
        now = self._clock()
        for row in entries:
            settings = self._app_settings(row["number"])
            payload = shown(self.kind, row["key"], row["payload"], settings)
            item = EventRow(
                slot.slot,
                row["seq"],
                self.kind,
                row["key"],
                row["lane"],
                row["payload"] if payload is None else payload,
                row["contact"],
                row["attempts"],
                now - row["age"],
                parked=True,
                number=row["number"],
            )
            self.memory(slot).hold(1, item.size)
            if payload is None:  # switched off since
                self._owner.on_settled([item])
            else:
                self._delivery.add([item])

    async def released(self, slot: OwnedSlot, entries: Sequence[Any], *, due: bool) -> None:
        """The delivery goes on by itself."""

    def block(self, slot: OwnedSlot, lanes: Sequence[str]) -> None:
        for lane in lanes:
            self._delivery.block(slot.slot, lane, self.kind)

    def unblock(self, slot: OwnedSlot, lane: str) -> None:
        self._delivery.unblock(slot.slot, lane, self.kind)

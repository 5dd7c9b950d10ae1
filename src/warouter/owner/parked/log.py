"""Parked rows: taken up when their time has come, found when they are not in memory.

The parked table may hold any number of lanes. ``flow.parking`` says which of them are in
memory and what state each is in; here the table is read, a page of lanes and a few rows of
each at a time. Messages and both kinds of events are taken up in this one way; a ``ParkedSource``
says what differs.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import asyncpg

from warouter.background import wait_for
from warouter.errors import OutcomeUnknown
from warouter.flow.log import SlotLog
from warouter.flow.parking import ParkedLane
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
REST_SECONDS = 1.0  # between two looks while nothing is parked
MEND_ROWS = 500

EntryT = TypeVar("EntryT")


class Chosen(NamedTuple, Generic[EntryT]):
    """The rows of a lane that go out, and when the next one ends."""

    entries: list[EntryT]
    ends: float = math.inf


class ParkedSource(Protocol[EntryT]):
    """One log of every slot, as far as it is parked."""

    @property
    def what(self) -> str:
        """The name of its rows in the log."""

    def log(self, slot: OwnedSlot) -> SlotLog: ...

    def may_take_up(self, slot: OwnedSlot) -> bool:
        """True if rows that are due may go now, and there is room for them."""

    def goes(self, slot: OwnedSlot, key: str) -> bool:
        """False while nothing of this lane may go, though it is due."""

    def at_once(self) -> int:
        """How many lanes one reading takes up."""

    async def first(self, slot: OwnedSlot, rows: int) -> Sequence[Any]:
        """The lanes to be looked at first: see ``Journal.parked``."""

    async def among(self, slot: OwnedSlot, keys: Collection[str]) -> Sequence[Any]:
        """Return those of the lanes that are parked."""

    async def rows(
        self, slot: OwnedSlot, keys: Collection[str]
    ) -> Mapping[str, tuple[Sequence[Any], bool]]:
        """The first rows of each lane, and whether there may be more."""

    def choose(self, slot: OwnedSlot, rows: Sequence[Any], *, due: bool) -> Chosen[EntryT]:
        """Return the rows that go out: all of them if they are ``due``, else those to be ended."""

    def release(self, slot: OwnedSlot, entries: Sequence[EntryT], *, due: bool) -> None:
        """Hand the rows over to what sends them."""

    async def released(self, slot: OwnedSlot, entries: Sequence[EntryT], *, due: bool) -> None:
        """Called when all rows of one reading went out."""

    def block(self, slot: OwnedSlot, keys: Sequence[str]) -> None:
        """Note that rows are parked: nothing of their lanes may go before them."""

    def unblock(self, slot: OwnedSlot, key: str) -> None: ...


class ParkedLog(Generic[EntryT]):
    """The parked rows of one log, in every open slot."""

    def __init__(
        self,
        source: ParkedSource[EntryT],
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        clock: Callable[[], float],
    ) -> None:
        self.source = source
        self._tasks = ownership.tasks
        self._journal = journal
        self._recorder = recorder
        self._clock = clock

    def rests(self, slot: OwnedSlot) -> bool:
        """True if nothing of the slot is parked."""
        parking = self.source.log(slot).parked
        return not parking and not parking.beyond

    async def look_at(self, slot: OwnedSlot) -> None:
        """Take up whose time has come, end what has waited too long, read on in the table."""
        if self.rests(slot):
            return
        parking, now = self.source.log(slot).parked, self._clock()
        for key in parking.surplus(now, slot.recorded):
            self.source.unblock(slot, key)
        if slot.accepts and parking.wants(now):
            await self._read_on(slot)
        idle = {r: lane for r, lane in parking.items() if lane.waits_at(now)}
        late = {r: lane for r, lane in idle.items() if lane.ends <= now}
        due = [r for r, lane in idle.items() if lane.due <= now and self.source.goes(slot, r)]
        most = self.source.at_once()
        while due and slot.open and self.source.may_take_up(slot):
            chosen, due = due[:most], due[most:]
            await self._take_up(slot, {r: idle[r] for r in chosen}, due=True)
        for key, lane in late.items():  # also behind a doubt: nothing of these is sent
            if slot.open and lane.waiting and lane.ends <= now:
                await self._take_up(slot, {key: lane}, due=False)

    async def find(self, slot: OwnedSlot, keys: Collection[str]) -> None:
        """Block those of the lanes that are parked and not in memory."""
        parking = self.source.log(slot).parked
        await self._recorder.flush()  # the table has all that is known here
        unknown = [r for r in keys if r not in parking]
        if not unknown or not slot.open:
            return
        rows = await self.source.among(slot, unknown)
        now = self._clock()
        if slot.open:
            found = [row["lane"] for row in rows if parking.found(row, now)]
            self.source.block(slot, found)

    def landed(self, slot: OwnedSlot, key: str) -> None:
        """A row that was taken up has reached its end; what is behind it goes on."""
        lane = self.source.log(slot).parked.get(key)
        if lane is None:
            return
        lane.noted = slot.next_record
        if not lane.landed():
            return
        if lane.empty:
            self._done(slot, key)
        elif lane.due <= self._clock() and lane.waiting and self.source.goes(slot, key):
            lane.read_begins()
            self._tasks.begin_task(slot, self._take_up(slot, {key: lane}, due=True))

    async def _read_on(self, slot: OwnedSlot) -> None:
        """The next parked lanes into memory."""
        parking = self.source.log(slot).parked
        await self._recorder.flush()
        if not slot.open:
            return
        if await self._journal.mend_parked(slot.current(), MEND_ROWS):
            log.warning("database clock went back", extra={"slot": slot.slot})
        rows = await self.source.first(slot, parking.page)
        if slot.open:
            self.source.block(slot, parking.read(rows, self._clock()))

    async def _take_up(self, slot: OwnedSlot, lanes: dict[str, ParkedLane], *, due: bool) -> None:
        """Read rows of lanes: all to go out, if ``due``, else to end those that are late.

        Those beyond the page are looked at when their turn comes.
        """
        for lane in lanes.values():
            lane.read_begins()
        await self._recorder.flush()  # rows that are noted as parked must be in the table
        try:
            read = await self.source.rows(slot, lanes.keys())
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            extra = {"rows": self.source.what, "error": str(error)}
            log.warning("parked row read failed", extra=extra)
            for lane in lanes.values():
                lane.read_failed()
            return
        if not slot.open:
            return
        out: list[EntryT] = []
        for key, lane in lanes.items():
            rows, more = read[key]
            entries, ends = self.source.choose(slot, rows, due=due)
            lane.read_ended(len(entries), more=more or len(entries) < len(rows), ends=ends)
            if lane.empty:
                self._done(slot, key)
            self.source.release(slot, entries, due=due)
            out += entries
        await self.source.released(slot, out, due=due)

    def _done(self, slot: OwnedSlot, key: str) -> None:
        self.source.log(slot).parked.pop(key, None)
        self.source.unblock(slot, key)


class Watcher(Protocol):
    """A watcher that looks at slots again and again."""

    def rests(self, slot: OwnedSlot) -> bool:
        """True if there is nothing to look at; asked for each slot each time, so be quick."""

    async def look_at(self, slot: OwnedSlot) -> None: ...


class Watch:
    """The loop that looks at every open slot for all ``watchers``: five times a second, or once
    while all of them rest and nothing is parked.
    """

    def __init__(self, ownership: Ownership, watchers: Sequence[Watcher]) -> None:
        self._ownership = ownership
        self._watchers = watchers

    async def run(self) -> None:
        parked = self._ownership.parked
        while True:
            parked.clear()
            if await self.look():
                await asyncio.sleep(LOOK_SECONDS)
            else:
                await wait_for(parked, REST_SECONDS)

    async def look(self) -> bool:
        """Once at every slot; an error in one ends its epoch and no other. False: all rest."""
        looked = False
        guard = self._ownership.tasks.guard
        for slot in list(self._ownership.slots.values()):
            for watcher in self._watchers:
                if slot.open and not watcher.rests(slot):
                    looked = True
                    await guard(slot.current, watcher.look_at(slot))
        return looked

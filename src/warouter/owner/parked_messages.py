"""Messages that are parked: taken up when their time has come, found when they are not in memory.

Their table may hold any number of recipients: ``Parked`` says which of them are in memory, and here
the table is read, a page of recipients and a few messages of each at a time.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection
from typing import Any

import asyncpg

from warouter.cluster.role import State
from warouter.errors import OutcomeUnknown
from warouter.flow.lanes import Entry
from warouter.flow.parking import LEAD_ROWS, LEAD_SECONDS, ParkedLane
from warouter.owner.expiry import Expiry
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.slot import MAX_BYTES_IN_MEMORY, MAX_IN_MEMORY, OwnedSlot
from warouter.store.journal import Journal

log = logging.getLogger(__name__)

PARKED_PAGE = 64  # messages of one recipient that are taken up at once,
FEW = 4  # and of each, where several are taken up in one reading,
LANES_AT_ONCE = 20  # which are so many
MAX_FLYING = MAX_IN_MEMORY // 4  # parked messages of a slot in memory; one reading may go beyond
MEND_ROWS = 500
AGAIN_SECONDS = 0.2
# The reason in the row of one that the upstream may have: it counts for owners after this one too.
TOLD = "told, and not answered"


class ParkedMessages:
    """The parked messages of every open slot."""

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        expiry: Expiry,
        clock: Callable[[], float],
        pending: float,
        pump: Callable[[OwnedSlot], None],
        settled: Callable[[OwnedSlot, Entry], None],
        behind: Callable[[OwnedSlot, str, list[Entry]], None],
    ) -> None:
        self._tasks = ownership.tasks
        self._journal = journal
        self._recorder = recorder
        self._expiry = expiry
        self._clock = clock
        self._pending = pending
        self._pump = pump
        self._settled = settled
        self._behind = behind  # parks what waits in the lane of a recipient that is parked

    async def look_at(self, slot: OwnedSlot) -> None:
        """Take up whose time has come, end what has waited too long, read on in the table."""
        now = self._clock()
        for recipient in slot.parked.surplus(now, slot.recorded):
            slot.lanes.unblock(recipient)
        if slot.parked.wants(now) and slot.state is State.ACTIVE:
            await self._read_on(slot)
        idle = {r: lane for r, lane in slot.parked.items() if lane.flying == 0 and lane.look <= now}
        due = [r for r, lane in idle.items() if lane.due <= now] if slot.claimed else []
        while due and slot.open and self._room(slot):
            chosen, due = due[:LANES_AT_ONCE], due[LANES_AT_ONCE:]
            await self._take_up(slot, {r: idle[r] for r in chosen}, due=True)
        late = {r: lane for r, lane in idle.items() if lane.ends <= now and lane.flying == 0}
        for recipient, lane in late.items():
            if slot.open:
                await self._take_up(slot, {recipient: lane}, due=False)

    async def find(self, slot: OwnedSlot, recipients: Collection[str]) -> None:
        """Block those of the recipients that are parked and not in memory."""
        await self._recorder.flush()  # the table has all that is known here
        unknown = [r for r in recipients if r not in slot.parked]
        if not unknown or not slot.open:
            return
        rows = await self._journal.parked_among(slot.slot, unknown, self._pending)
        now = self._clock()
        self._block(slot, [row["recipient"] for row in rows if slot.parked.found(row, now)])

    def unpark(self, slot: OwnedSlot, entry: Entry) -> None:
        """A message that was parked is settled."""
        lane = slot.parked.get(entry.recipient)
        if lane is None:
            slot.note("unpark", seq=entry.seq)
            return
        slot.note_parked(lane, "unpark", seq=entry.seq)
        lane.flying -= 1
        if lane.flying:
            return
        if not lane.more:
            self._done(slot, entry.recipient)
        elif lane.due <= self._clock():
            lane.flying = -1
            next_page = self._take_up(slot, {entry.recipient: lane}, due=True)
            self._tasks.begin(slot, next_page)

    def _room(self, slot: OwnedSlot) -> bool:
        flying = sum(lane.flying for lane in slot.parked.values() if lane.flying > 0)
        return flying < MAX_FLYING and slot.lanes.bytes < MAX_BYTES_IN_MEMORY

    async def _read_on(self, slot: OwnedSlot) -> None:
        await self._recorder.flush()
        if not slot.open:
            return
        unled = await self._journal.lead_parked(slot.current(), LEAD_ROWS, LEAD_SECONDS)
        if await self._journal.mend_parked(slot.current(), MEND_ROWS):
            log.warning("database clock went back", extra={"slot": slot.slot})
        rows = await self._journal.parked([slot.slot], self._pending, slot.parked.page)
        if slot.open:
            self._block(slot, slot.parked.read(rows, self._clock(), unled=unled))

    def _block(self, slot: OwnedSlot, recipients: list[str]) -> None:
        """They are parked. Their lanes are empty, unless they were free again a moment ago."""
        for recipient in recipients:
            if waiting := slot.lanes.block(recipient):
                self._behind(slot, recipient, waiting)

    async def _take_up(self, slot: OwnedSlot, lanes: dict[str, ParkedLane], *, due: bool) -> None:
        """Read parked messages of recipients: all to be sent, if ``due``, else to end the late.

        Those beyond the page are looked at when their turn comes.
        """
        for lane in lanes.values():
            lane.flying, lane.ends, lane.more = -1, math.inf, False
        await self._recorder.flush()
        limit = PARKED_PAGE if len(lanes) == 1 else min(FEW, PARKED_PAGE)
        try:
            rows = await self._journal.parked_of(slot.slot, lanes.keys(), limit)
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("parked message read failed", extra={"error": str(error)})
            for lane in lanes.values():
                lane.flying, lane.more = 0, True
                lane.ends = self._clock() + AGAIN_SECONDS
            return
        if not slot.open:
            return
        read: dict[str, list[Entry]] = {recipient: [] for recipient in lanes}
        for row in rows:
            read[row["recipient"]].append(self._entry(row))
        ended: list[Entry] = []
        for recipient, entries in read.items():
            ended += self._taken(slot, recipient, entries, full=len(entries) >= limit, due=due)
        if due:
            self._pump(slot)
        elif ended:
            await self._expiry.end(slot, ended, self._settled)
            self._pump(slot)

    def _taken(
        self, slot: OwnedSlot, recipient: str, entries: list[Entry], *, full: bool, due: bool
    ) -> list[Entry]:
        """These are the first of the recipient; those of them that are to be ended."""
        lane, now = slot.parked[recipient], self._clock()
        taken = entries if due else [entry for entry in entries if entry.expires <= now]
        lane.flying = len(taken)
        lane.more = lane.more or full or len(taken) < len(entries)
        lane.ends = min([lane.ends, *(e.expires for e in entries if e.expires > now)])
        if not entries and not lane.more:
            self._done(slot, recipient)
        if not due:
            return taken
        for entry in taken:
            slot.lanes.push(entry)
        return []

    def _entry(self, row: Any) -> Entry:
        kind = row["kind"]
        told = row["reason"] == TOLD
        end = self._expiry.end_of(kind, None if told else row["ttl"], row["age"], row["id"])
        place = row["seq"], row["id"], row["recipient"], kind, row["body"]
        return Entry(*place, row["attempts"], True, *end, told)

    def _done(self, slot: OwnedSlot, recipient: str) -> None:
        slot.parked.pop(recipient, None)
        slot.lanes.unblock(recipient)

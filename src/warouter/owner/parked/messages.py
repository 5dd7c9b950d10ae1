"""Parked messages back into the lanes: the rows of the parked table, as ``owner.parked`` asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from warouter.flow.lane_key import parts_of
from warouter.flow.lanes import LaneEntry
from warouter.flow.log import SlotLog
from warouter.owner.expiry import Expiry, Settling
from warouter.owner.parked.log import Chosen
from warouter.owner.slot import MAX_BYTES_IN_MEMORY, MAX_IN_MEMORY, OwnedSlot
from warouter.store.journal import Journal
from warouter.store.journal.issues import StoredIssue, issue_of

# One query takes up either many messages of one lane, or a few of each of several lanes.
PARKED_PAGE = 64
FEW = 4
LANES_AT_ONCE = 20
MAX_FLYING = MAX_IN_MEMORY // 4  # parked messages of a slot in memory; one reading may go beyond
# Reason of a parked message that the upstream may already have: later owners read it as well.
TOLD = "told, and not answered"


class MessageBacklog(Settling, Protocol):
    """The backlog, whose messages are parked."""

    def settled(self, slot: OwnedSlot, entry: LaneEntry) -> None: ...

    def park_behind(self, slot: OwnedSlot, lane: str, entries: list[LaneEntry]) -> None: ...

    def pump(self, slot: OwnedSlot) -> None: ...

    def ranked(self, entry: LaneEntry) -> LaneEntry: ...


class MessageFinder(Protocol):
    """Whoever wants to know of messages that are read: the sender."""

    def found(self, slot: OwnedSlot, message_id: bytes, row: StoredIssue | None) -> None:
        """Take a message that was read, with its issue row if it has one."""

    def in_lane(self, slot: OwnedSlot, message_id: bytes) -> None:
        """Take a message that was read into its lane."""


class ParkedMessages:
    """The parked messages of every open slot."""

    what = "message"

    def __init__(
        self,
        messages: MessageBacklog,
        finder: MessageFinder,
        journal: Journal,
        expiry: Expiry,
        clock: Callable[[], float],
        pending: float,
    ) -> None:
        self._messages = messages
        self._finder = finder
        self._journal = journal
        self._expiry = expiry
        self._clock = clock
        self._pending = pending

    def log(self, slot: OwnedSlot) -> SlotLog:
        return slot.messages

    def may_take_up(self, slot: OwnedSlot) -> bool:
        room = slot.messages.parked.flying < MAX_FLYING and slot.lanes.bytes < MAX_BYTES_IN_MEMORY
        return slot.claimed and room

    def goes(self, slot: OwnedSlot, key: str) -> bool:
        return not slot.stopped or parts_of(key)[0] not in slot.stopped

    def at_once(self) -> int:
        return LANES_AT_ONCE

    async def first(self, slot: OwnedSlot, rows: int) -> Sequence[Any]:
        return await self._journal.parked([slot.slot], self._pending, rows)

    async def among(self, slot: OwnedSlot, lanes: Collection[str]) -> Sequence[Any]:
        return await self._journal.parked_among(slot.slot, lanes, self._pending)

    async def rows(
        self, slot: OwnedSlot, lanes: Collection[str]
    ) -> Mapping[str, tuple[Sequence[Any], bool]]:
        limit = PARKED_PAGE if len(lanes) == 1 else min(FEW, PARKED_PAGE)
        read: dict[str, list[Any]] = {lane: [] for lane in lanes}
        for row in await self._journal.parked_of(slot.slot, lanes, limit):
            read[row["lane"]].append(row)
        return {lane: (rows, len(rows) >= limit) for lane, rows in read.items()}

    def choose(self, slot: OwnedSlot, rows: Sequence[Any], *, due: bool) -> Chosen[LaneEntry]:
        now, entries = self._clock(), [self._entry(row) for row in rows]
        for row in rows:
            self._finder.found(slot, row["id"], issue_of(slot.slot, row))
        doubted, over = slot.issues.doubted, slot.issues.is_over
        # How those in doubt end is not said by their age.
        late = (e for e in entries if e.expires <= now and not doubted(e.id) and not over(e.id))
        chosen = entries if due else list(late)
        later = (entry.expires for entry in entries if entry.expires > now)
        return Chosen(chosen, min(later, default=math.inf))

    def release(self, slot: OwnedSlot, entries: Sequence[LaneEntry], *, due: bool) -> None:
        if due:
            for entry in entries:
                if slot.issues.has_left(entry.id):
                    self._messages.settled(slot, entry)
                else:
                    slot.lanes.push(self._messages.ranked(entry))
            for entry in entries:
                self._finder.in_lane(slot, entry.id)
        else:
            slot.lanes.end(entries)

    async def released(self, slot: OwnedSlot, entries: Sequence[LaneEntry], *, due: bool) -> None:
        if due:
            self._messages.pump(slot)
        elif entries:
            await self._expiry.end(slot, entries, self._messages)

    def block(self, slot: OwnedSlot, lanes: Sequence[str]) -> None:
        """Their lanes are empty, unless they were free again a moment ago."""
        for lane in lanes:
            if waiting := slot.lanes.block(lane):
                self._messages.park_behind(slot, lane, waiting)

    def unblock(self, slot: OwnedSlot, lane: str) -> None:
        slot.lanes.unblock(lane)

    def _entry(self, row: Any) -> LaneEntry:
        told = row["reason"] == TOLD
        ttl = None if told else row["ttl"]  # that ends no message that the upstream was told
        end = self._expiry.end_of(row["kind"], ttl, row["age"], row["id"])
        place = row["seq"], row["id"], row["lane"], row["kind"], row["body"]
        return LaneEntry(*place, row["attempts"], True, *end, told, number=row["number"])

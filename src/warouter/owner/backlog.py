"""Messages into the lanes of their slot: from memory, from the journal, from the parked table.

What has no place in memory is read back by the pager; what has to wait long is parked, together
with the later ones of its recipient, and taken up when it is due. What has waited too long ends
unsent (``owner.expiry``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from warouter.flow.lanes import LaneEntry
from warouter.flow.log import SlotLog
from warouter.flow.progress import Park, Unpark
from warouter.kinds import MESSAGE
from warouter.link.wire import Message
from warouter.owner.expiry import Expiry
from warouter.owner.ownership import Ownership
from warouter.owner.pager import Pager
from warouter.owner.parked.log import ParkedLog
from warouter.owner.parked.messages import TOLD, MessageFinder, ParkedMessages
from warouter.owner.recorder import Recorder
from warouter.owner.slot import MAX_IN_MEMORY, OwnedSlot
from warouter.store.journal import Journal, ReadRow, Stretch
from warouter.upstream.protocol import Answer

# Messages of one lane that stay in memory and in the cursor; fewer once the cursor has many
# ranges.
LANE_MOST = MAX_IN_MEMORY // 16
LANE_MOST_CROWDED = 4
PARK_MOST_MS = 24 * 3600 * 1000
REASON_CHARS = 200
BEHIND = "behind a parked one"


Urgent = Callable[[int, bytes | memoryview], bool]


class Sending(MessageFinder, Protocol):
    """The sender of what is in the lanes."""

    def moved(self, slot: OwnedSlot) -> None:
        """Send what came into the lanes with the next look at them."""

    def pump(self, slot: OwnedSlot) -> None:
        """Send what may go now."""

    def on_answer(self, slot: OwnedSlot, message_id: bytes, answer: Answer) -> None:
        """Take the answer for a message that cannot be sent: for good, or for some time."""


class Backlog:
    """The messages of every open slot, up to where they are sent. ``urgent`` says of a kind and a
    body if the message goes before others.
    """

    def __init__(
        self,
        sending: Sending,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        expiry: Expiry,
        clock: Callable[[], float],
        pending: float,
        urgent: Urgent | None = None,
    ) -> None:
        self._sending, self._journal, self._recorder = sending, journal, recorder
        self._expiry, self._clock, self._urgent = expiry, clock, urgent
        self._tasks, self._parked = ownership.tasks, ownership.parked
        source = ParkedMessages(self, sending, journal, expiry, clock, pending)
        self.parked = ParkedLog(source, ownership, journal, recorder, clock)
        self.pager = Pager[ReadRow](self, self.parked, ownership, recorder)

    def opened(self, slot: OwnedSlot) -> None:
        """Block the lanes of parked rows, as nothing may overtake these, and read the journal."""
        for lane in slot.messages.parked:
            slot.lanes.block(lane)
        self.pager.read_on(slot)

    def add(
        self, slot: OwnedSlot, rows: Sequence[Message], issued: Container[bytes] = ()
    ) -> list[LaneEntry]:
        """Rows were committed, in seq order: up to where there is no room they go from memory.

        Returns those of the ``issued`` ids that count as out already: their requests may begin.
        """
        begin: list[LaneEntry] = []
        log, end_of, push = slot.messages, self._expiry.end_of, slot.lanes.push
        loaded, usual, urgent = log.loaded, (self._expiry.usual_end(), False), self._urgent
        aside = slot.consumers.aside
        for row in rows:
            if not log.appended(row.seq):
                log.appended(rows[-1].seq)  # nor does one that follows
                break
            if aside and not slot.consumers.take(row.seq, (row.number,)):
                self._recorder.touch(slot)
                continue
            kind, message_id, lane, ttl = row.kind, row.id, row.lane, row.ttl
            plain = ttl is None and kind == MESSAGE  # nearly always
            end, timed = usual if plain else end_of(kind, ttl, 0.0, message_id)
            entry = LaneEntry(
                row.seq, message_id, lane, kind, row.body, 0, False, end, timed, number=row.number
            )
            if urgent is not None:
                entry = self.ranked(entry)
            if issued and message_id in issued and slot.lanes.push_out(entry):
                begin.append(entry)
            elif not push(entry):
                self.park_behind(slot, lane, [entry])
        if log.loaded > loaded or log.has_room:  # else nothing new goes, or is read
            self._sending.moved(slot)
        return begin

    def push(self, slot: OwnedSlot, row: Message) -> None:
        """A committed row into its lane, out of its turn: the pager passes it over."""
        end, timed = self._expiry.end_of(row.kind, row.ttl, 0.0, row.id)
        place = row.seq, row.id, row.lane, row.kind, row.body
        self._push(slot, LaneEntry(*place, 0, False, end, timed, number=row.number))
        self._sending.pump(slot)

    def _push(self, slot: OwnedSlot, entry: LaneEntry) -> None:
        if not slot.lanes.push(self.ranked(entry)):
            self.park_behind(slot, entry.lane, [entry])

    def ranked(self, entry: LaneEntry) -> LaneEntry:
        """The entry with its priority."""
        if self._urgent is not None and self._urgent(entry.kind, entry.body):
            return replace(entry, priority=True)
        return entry

    # what becomes of a message

    def settled(self, slot: OwnedSlot, entry: LaneEntry) -> None:
        """Forget a row that needs no more sending."""
        log = slot.messages
        for change in slot.issues.settle(entry.id, self._clock()):
            log.note(change)
        if entry.parked:
            log.release(entry.seq)
            log.note(Unpark(entry.seq))
            self.parked.landed(slot, entry.lane)
        else:
            slot.settle(entry.number, entry.seq)
        self._recorder.touch(slot)

    def ended(self, slot: OwnedSlot, entry: LaneEntry) -> None:
        """Settle a message that has ended; what is behind it waits until that is recorded."""
        self.settled(slot, entry)
        if slot.lanes.waits_for(entry):
            self._recorder.hurry()
            self.make_way(slot, entry)

    def park(
        self, slot: OwnedSlot, entries: Iterable[LaneEntry], delay_ms: float, reason: str
    ) -> None:
        """Move messages of one lane to the parked table, with the cursor's change; inf: until the
        lane is reopened.
        """
        log, now = slot.messages, self._clock()
        for entry in entries:
            slot.issues.park(entry.id, slot.next_record)
            log.parked.park(
                entry.lane,
                now + delay_ms / 1000,
                slot.next_record,
                was_out=entry.parked,
                ends=entry.expires,
            )
            # What the upstream may have does not end by its ttl: its row is read when due.
            endless = entry.told or entry.expires == math.inf
            log.note(
                Park(
                    entry.seq,
                    entry.attempts,
                    None if delay_ms == math.inf else min(int(delay_ms), PARK_MOST_MS),
                    TOLD if entry.told else reason.replace("\0", " ")[:REASON_CHARS] or "retry",
                    None if endless else int((entry.expires - now) * 1000),
                )
            )
            if entry.parked:
                log.release(entry.seq)
            else:
                slot.settle(entry.number, entry.seq)
        self._parked.set()
        self._recorder.touch(slot)

    def look_soon(self) -> None:
        """Look soon for parked rows that may go."""
        self._parked.set()

    def make_way(self, slot: OwnedSlot, head: LaneEntry) -> None:
        """Park a lane with so many messages that others would wait for memory or the cursor.

        Its head has just ended and the next is not out: so all that is behind is parked at once.
        """
        length = slot.lanes.length(head.lane)
        if length <= LANE_MOST_CROWDED or head.parked:  # nearly always
            return
        if length > LANE_MOST or slot.messages.cursor.crowded:
            self.park(slot, slot.lanes.block(head.lane), 0.0, "many wait for this recipient")

    def end_late(self, slot: OwnedSlot, now: float) -> None:
        """End what has waited too long in the lanes."""
        if late := slot.lanes.expire(now):
            self._tasks.begin_task(slot, self._expiry.end(slot, late, self))
            if not slot.messages.caught_up:
                self.pager.read_on(slot)

    def park_behind(self, slot: OwnedSlot, lane: str, entries: list[LaneEntry]) -> None:
        """The lane is parked already: they wait for as long as what is before them."""
        before = slot.messages.parked.get(lane)
        delay = max(0.0, (before.due - self._clock()) * 1000) if before and not before.shut else 0.0
        self.park(slot, entries, delay, BEHIND)

    # the source of the pager

    def log(self, slot: OwnedSlot) -> SlotLog:
        return slot.messages

    async def pages(
        self, stretches: Sequence[Stretch], limit: int, most_bytes: int
    ) -> Mapping[int, Sequence[ReadRow]]:
        return await self._journal.pages(stretches, limit, most_bytes)

    def take(self, slot: OwnedSlot, row: ReadRow) -> None:
        if row.seq in slot.ahead:
            return
        if not slot.consumers.aside or slot.consumers.take(row.seq, (row.number,)):
            self.take_aside(slot, row)

    def take_aside(self, slot: OwnedSlot, row: ReadRow) -> None:
        """Take a row that was read, wherever it is to be settled."""
        seq, message_id, _, kind, body, ttl, age, number, issue = row
        expires, timed = self._expiry.end_of(kind, ttl, age, message_id)
        place = seq, message_id, row.lane, kind, body
        entry = LaneEntry(*place, 0, False, expires, timed, number=number)
        self._sending.moved(slot)
        self._sending.found(slot, message_id, issue)
        if slot.issues.has_left(message_id):
            self.settled(slot, entry)
        else:
            self._push(slot, entry)
            self._sending.in_lane(slot, message_id)

    def paged(self, slot: OwnedSlot) -> None:
        self.pump(slot)

    def pump(self, slot: OwnedSlot) -> None:
        """Send what came back into the lanes."""
        self._sending.pump(slot)

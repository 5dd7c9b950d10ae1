"""Messages to the upstream in order, and what becomes of each by its answer.

Right after its commit a message is sent from memory; what did not fit is read back in seq order.
The lease is asked before anything is told to the upstream, and once more at the write itself.

What has waited too long ends unsent (``owner.expiry``); what the upstream may have is told again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from warouter.cluster.role import SlotState
from warouter.flow.lanes import LaneEntry
from warouter.kinds import READ_MARK, base_of
from warouter.link.wire import Message
from warouter.message_id import text_of
from warouter.owner.backlog import BEHIND, Backlog, Urgent
from warouter.owner.claims import Claims
from warouter.owner.expiry import Expiry
from warouter.owner.listener import SlotListener
from warouter.owner.media.attachments import Attachments
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.owner.recorder import Recorder
from warouter.owner.slot import GRANTED, OwnedSlot
from warouter.owner.stopped import unstopped
from warouter.store.beats import Beat
from warouter.store.journal import Journal
from warouter.store.journal.issues import StoredIssue
from warouter.upstream.protocol import Answer, Send, Upstream

PARK_AFTER_MS = 1_000  # a wait longer than this does not keep a place in the window
PARK_AFTER_TRIES = 5
# How often unanswered messages are looked at: at the second look they are sent again.
ANSWER_SECONDS = 5.0
UNANSWERED_MS = 30_000  # the next try of a message sent PARK_AFTER_TRIES times without an answer


class SenderParts(NamedTuple):
    """The parts of an owner that its sender works with, whatever the upstream is. A message ends
    unsent after ``pending`` seconds.
    """

    ownership: Ownership
    journal: Journal
    recorder: Recorder
    receipts: Receipts
    attachments: Attachments
    claims: Claims
    clock: Callable[[], float]
    pending: float = math.inf


class Sender(SlotListener):
    """The messages of every open slot, from the commit to their last answer."""

    def __init__(
        self, parts: SenderParts, upstream: Upstream, urgent: Urgent | None = None
    ) -> None:
        self._ownership = parts.ownership
        self._attachments = parts.attachments
        self._claims, self._upstream = parts.claims, upstream
        self._clock = clock = parts.clock
        journal, pending = parts.journal, parts.pending
        self._expiry = Expiry(journal, parts.receipts, clock, pending, self.unknown)
        self.backlog = Backlog(
            self, parts.ownership, journal, parts.recorder, self._expiry, clock, pending, urgent
        )
        self._moved: dict[OwnedSlot, None] = {}
        self._soon = False  # moved slots are looked at in this turn of the loop
        self.sent = self.answered = self.asked_again = 0

    # the life of a slot

    def opened(self, slot: OwnedSlot) -> None:
        slot.opened_at = self._clock()
        self.backlog.opened(slot)

    def closed(self, slot: OwnedSlot) -> None:
        self._wake_for(slot, None)

    def recorded(self, slot: OwnedSlot) -> None:
        if has_more(slot):
            self.pump(slot)

    def found(self, slot: OwnedSlot, message_id: bytes, row: StoredIssue | None) -> None:
        """Called for a message that was read, with its issue row if it has one."""

    def in_lane(self, slot: OwnedSlot, message_id: bytes) -> None:
        """Called for a message that was read into its lane."""

    def idle(self, slot: OwnedSlot) -> bool:
        """Without the upstream's claim no answer will come any more."""
        return slot.lanes.out == 0 or not slot.claimed

    def quiet(self, slot: OwnedSlot) -> bool:
        return self.idle(slot)

    def unknown(self, _slot: OwnedSlot, _entry: LaneEntry) -> bool:
        """True if the message, which ends, may have been taken; what is out can be told again."""
        return False

    def beaten(self, _beat: Beat) -> None:
        """Look again at what the lease, the claim or a failed read held back."""
        for slot in list(self._ownership.slots.values()):
            if slot.lanes.waiting or slot.messages.behind or not slot.claimed:
                self.pump(slot)

    # from the appender

    def reserve(self, _rows: Sequence[Message]) -> Sequence[Message]:
        """Rows that need an issue row in their commit: none, as the upstream drops repeats."""
        return ()

    def reserved(self, rows: Sequence[Message]) -> None:
        """Called once these rows are on disk with their issue rows."""

    def committed(self, slot: OwnedSlot, rows: Sequence[Message]) -> None:
        """New rows, in seq order: they go from memory, or are read when there is room."""
        self.backlog.add(slot, rows)

    def moved(self, slot: OwnedSlot) -> None:
        """Send what came into the lanes with the next ``pump_moved``."""
        self._moved[slot] = None

    def pump_moved(self) -> None:
        """Pump the slots of which something may go that could not before."""
        moved, self._moved = self._moved, {}
        for slot in moved:
            self.pump(slot)

    # to the upstream

    def pump_all(self) -> None:
        for slot in list(self._ownership.slots.values()):
            self.pump(slot)

    def pump(self, slot: OwnedSlot) -> None:
        """Send what the lanes, the window, the cursor and the lease allow."""
        upstream, log = self._upstream, slot.messages
        if slot.state is not SlotState.ACTIVE or slot.quiet:
            return
        if slot.claim is not GRANTED:
            self._claims.ask(slot)
            return
        if not upstream.writable or not self._ownership.may_act(slot.slot):
            return
        now = self._clock()
        due = slot.lanes.due(now)
        if due is not None or slot.timer is not None:
            self._wake_for(slot, due)
        self.backlog.end_late(slot, now)
        heads = self._heads(slot, log.cursor.first_range if log.cursor.full else None)
        for entry, media in self._attachments.prepared(slot, heads, self):
            self.sent += 1
            self._send(slot, entry, media)
        self.backlog.pager.read_on_if_empty(slot)

    def _heads(self, slot: OwnedSlot, below: int | None) -> list[LaneEntry]:
        """The messages that go now; ``below`` as for ``Lanes.take``."""
        heads = slot.lanes.take(below)
        return unstopped(self.backlog, slot, heads) if slot.stopped else heads

    def _send(self, slot: OwnedSlot, entry: LaneEntry, media: tuple[str, ...]) -> None:
        self._upstream.tell(_frame(slot, entry, media))

    def claimed(self, slot: OwnedSlot) -> None:
        """The upstream takes messages of the slot: what was out on another connection goes out."""
        slot.lanes.requeue()
        self.pump(slot)

    # again and again

    def rests(self, slot: OwnedSlot) -> bool:
        now = self._clock()
        timely = slot.state is not SlotState.ACTIVE or now < min(slot.look_due, slot.lanes.soonest)
        return timely and self.backlog.parked.rests(slot)

    async def look_at(self, slot: OwnedSlot) -> None:
        """Take up parked recipients when their time has come; end what has waited too long."""
        if slot.state is SlotState.ACTIVE:
            now = self._clock()
            if now >= slot.look_due:
                slot.look_due = now + ANSWER_SECONDS
                self._ask_again(slot)
            self.backlog.end_late(slot, now)
        await self.backlog.parked.look_at(slot)

    def _ask_again(self, slot: OwnedSlot) -> None:
        """Tell the upstream again what it has not answered: it drops what it knows by id."""
        self._claims.ask_again(slot, ANSWER_SECONDS)
        if not slot.claimed:
            return
        for entry in slot.lanes.unanswered():
            self.asked_again += 1
            if entry.attempts + 1 < PARK_AFTER_TRIES:
                slot.lanes.ask_again(entry.id)
            else:
                waiting = slot.lanes.block(entry.lane)
                self.backlog.park(slot, waiting, UNANSWERED_MS, BEHIND)
        self.pump(slot)

    # answers

    def on_answer(self, slot: OwnedSlot, message_id: bytes, answer: Answer) -> None:
        """The upstream took this message, refused it, or wants it to be tried again."""
        self.answered += 1
        if answer.code != 0 and answer.retry_ms >= 0:
            self._on_retry(slot, message_id, answer)
            self._moved[slot] = None
        else:
            lanes = slot.lanes
            entry = lanes.failed(message_id) if answer.code else lanes.answered(message_id)
            if entry is None:
                return
            if answer.code == 0:
                self.backlog.settled(slot, entry)
                self.backlog.make_way(slot, entry)
            elif base_of(entry.kind) == READ_MARK:  # a read mark has no status
                self.backlog.ended(slot, entry)
            else:
                self._expiry.fail(slot, entry, answer, self.backlog)
            if slot.lanes.ready or slot.messages.behind:
                self._moved[slot] = None
        self._look_soon()

    def _look_soon(self) -> None:
        """One look for all the answers of a read."""
        if not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_soon(self._after_answers)

    def _after_answers(self) -> None:
        self._soon = False
        self.pump_moved()
        self._ownership.progressed()

    def _on_retry(self, slot: OwnedSlot, message_id: bytes, answer: Answer) -> None:
        entry = slot.lanes.retry(message_id, self._clock() + answer.retry_ms / 1000)
        if entry is None:
            return
        if answer.retry_ms > PARK_AFTER_MS or entry.attempts >= PARK_AFTER_TRIES:
            waiting = slot.lanes.block(entry.lane)
            self.backlog.park(slot, waiting, answer.retry_ms, answer.title)

    def _wake_for(self, slot: OwnedSlot, due: float | None) -> None:
        """Set the one timer of a slot for its next retry; if it fires early, pump sets it anew."""
        if slot.timer is not None:
            slot.timer.cancel()
        slot.timer = None
        if due is not None:
            after = max(due - self._clock(), 0.001)
            slot.timer = asyncio.get_running_loop().call_later(after, self.pump, slot)


def has_more(slot: OwnedSlot) -> bool:
    """True if an answer or a record may let something go, beside what is behind those out."""
    return not slot.lanes.idle or slot.messages.behind


def _frame(slot: OwnedSlot, entry: LaneEntry, media: tuple[str, ...]) -> Send:
    kind = "read" if base_of(entry.kind) == READ_MARK else "message"
    place = slot.slot, slot.epoch, entry.seq, text_of(entry.id), entry.recipient
    return Send(*place, kind, memoryview(entry.body), media)

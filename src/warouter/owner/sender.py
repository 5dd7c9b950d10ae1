"""Messages to the upstream in order, and what becomes of each by its answer.

Right after its commit a message is sent from memory; what did not fit is read back in seq order.
The lease is asked before anything is told to the upstream, and once more at the write itself.

What has waited too long ends unsent (``owner.expiry``), whether the upstream is there or not; what
it may have taken already is told to it again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable

from warouter.cluster.role import State
from warouter.flow.lanes import Entry
from warouter.flow.parking import ParkedLane
from warouter.kinds import READ_MARK
from warouter.message_id import text_of
from warouter.owner.claims import Claims
from warouter.owner.expiry import Expiry
from warouter.owner.listener import SlotListener
from warouter.owner.media.attachments import Attachments
from warouter.owner.ownership import Ownership
from warouter.owner.parked_messages import TOLD, ParkedMessages
from warouter.owner.receipts import Receipts, failed_status
from warouter.owner.recorder import Recorder
from warouter.owner.slot import MAX_IN_MEMORY, OwnedSlot
from warouter.store.journal import Journal, Row
from warouter.store.nodes import Beat
from warouter.upstream.protocol import Answer, Send, Upstream

log = logging.getLogger(__name__)

PAGE = 500
PAGE_BYTES = 1 << 20
PARK_AFTER_MS = 1_000  # a wait longer than this does not keep a place in the window
PARK_AFTER_TRIES = 5
LANE_MOST = MAX_IN_MEMORY // 16  # messages of one recipient that keep their places in memory,
LANE_MOST_CROWDED = 4  # and in the cursor, once there are many ranges
PARKED_LOOK_SECONDS = 0.2
PARK_MOST_MS = 24 * 3600 * 1000
REASON_CHARS = 200
# What the upstream has not answered for so long is looked at; at the second look it is told again.
ANSWER_SECONDS = 5.0
UNANSWERED_MS = 30_000  # until one that has been told PARK_AFTER_TRIES times for nothing is again


class Sender(SlotListener):
    """The messages of every open slot, from the commit to their last answer."""

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        receipts: Receipts,
        attachments: Attachments,
        claims: Claims,
        upstream: Upstream,
        clock: Callable[[], float],
        pending: float = math.inf,
    ) -> None:
        self._ownership = ownership
        self._journal = journal
        self._expiry = Expiry(journal, receipts, clock, pending)
        self._recorder = recorder
        self._parked = ParkedMessages(
            ownership,
            journal,
            recorder,
            self._expiry,
            clock,
            pending,
            self.pump,
            self._settled,
            self._park_behind,
        )
        self._receipts = receipts
        self._attachments = attachments
        self._claims = claims
        self._upstream = upstream
        self._clock = clock
        self._tasks = ownership.tasks
        self._moved: dict[OwnedSlot, None] = {}
        self._soon = False  # what has moved is looked at in this turn of the loop
        self.sent = 0
        self.answered = 0
        self.asked_again = 0

    # the life of a slot

    def opened(self, slot: OwnedSlot) -> None:
        slot.opened_at = self._clock()
        for recipient in slot.parked:
            slot.lanes.block(recipient)
        self._load(slot)

    def closed(self, slot: OwnedSlot) -> None:
        self._wake_for(slot, None)

    def recorded(self, slot: OwnedSlot) -> None:
        self.pump(slot)

    def idle(self, slot: OwnedSlot) -> bool:
        """Without the upstream's claim no answer will come any more."""
        return slot.lanes.out == 0 or not slot.claimed

    def beaten(self, _beat: Beat) -> None:
        """What the lease, the claim or a failed read held back is looked at again."""
        self.pump_all()

    # from the appender

    def ready(self, slot: OwnedSlot, row: Row, age: float = 0.0) -> None:
        """A row is on disk, for ``age`` seconds, and may go from memory."""
        _, seq, message_id, recipient, kind, body, ttl, _ = row
        expires, timed = self._expiry.end_of(kind, ttl, age, message_id)
        entry = Entry(seq, message_id, recipient, kind, body, 0, False, expires, timed)
        self._moved[slot] = None
        if not slot.lanes.push(entry):
            self._park_behind(slot, recipient, [entry])

    def behind(self, slot: OwnedSlot) -> None:
        """A row is on disk that does not go from memory: it is read when there is room."""
        self._moved[slot] = None

    def pump_moved(self) -> None:
        """Those slots of which something may go that could not before."""
        moved, self._moved = self._moved, {}
        for slot in moved:
            self.pump(slot)

    def pump_all(self) -> None:
        for slot in list(self._ownership.slots.values()):
            self.pump(slot)

    def pump(self, slot: OwnedSlot) -> None:
        """Send what the lanes, the window, the cursor and the lease allow."""
        upstream = self._upstream
        if slot.state is not State.ACTIVE:
            return
        if not slot.claimed:
            self._claims.ask(slot)
            return
        if not upstream.writable or not self._ownership.may_act(slot.slot):
            return
        now = self._clock()
        self._wake_for(slot, slot.lanes.due(now))
        self._end_late(slot, now)
        room_below = slot.cursor.first_range if slot.cursor.full else None
        heads = slot.lanes.take(room_below)
        for entry, media in self._attachments.prepared(slot, heads, self):
            self.sent += 1
            upstream.tell(
                Send(
                    slot.slot,
                    slot.epoch,
                    entry.seq,
                    text_of(entry.id),
                    entry.recipient,
                    "read" if entry.kind == READ_MARK else "message",
                    memoryview(entry.body),
                    media,
                )
            )
        if not slot.caught_up and slot.half_empty:
            self._load(slot)

    def claimed(self, slot: OwnedSlot) -> None:
        """The upstream takes messages of the slot: what was out on another connection goes out."""
        slot.lanes.requeue()
        self.pump(slot)

    async def run_parked(self) -> None:
        """Take up parked recipients when their time has come; end what has waited too long."""
        while True:
            await asyncio.sleep(PARKED_LOOK_SECONDS)
            for slot in list(self._ownership.slots.values()):
                await self._tasks.guard(slot.current, self._look_at(slot))

    async def _look_at(self, slot: OwnedSlot) -> None:
        if slot.state is State.ACTIVE:
            now = self._clock()
            if now >= slot.look_due:
                slot.look_due = now + ANSWER_SECONDS
                self._ask_again(slot)
            self._end_late(slot, now)
        await self._parked.look_at(slot)

    # inside

    def _ask_again(self, slot: OwnedSlot) -> None:
        """What the upstream has not answered is told to it again: it drops what it knows by id."""
        self._claims.ask_again(slot, ANSWER_SECONDS)
        if not slot.claimed:
            return
        for entry in slot.lanes.unanswered():
            self.asked_again += 1
            if entry.attempts + 1 < PARK_AFTER_TRIES:
                slot.lanes.ask_again(entry.id)
            else:
                waiting = slot.lanes.block(entry.recipient)
                self._park(slot, waiting, UNANSWERED_MS, "behind a parked one")
        self.pump(slot)

    def on_answer(self, slot: OwnedSlot, message_id: bytes, answer: Answer) -> None:
        """The upstream took this message, refused it, or wants it to be tried again."""
        self.answered += 1
        if answer.code != 0 and answer.retry_ms >= 0:
            self._on_retry(slot, message_id, answer)
        else:
            entry = slot.lanes.answered(message_id)
            if entry is None:
                return
            if answer.code == 0 or entry.kind == READ_MARK:
                self._settled(slot, entry)
                self._make_way(slot, entry)
            else:
                event = failed_status(answer, entry.recipient, int(time.time()))
                self._receipts.append(slot, event, lambda: self._settled(slot, entry))
        self._moved[slot] = None
        if not self._soon:  # one look for all the answers of a read
            self._soon = True
            asyncio.get_running_loop().call_soon(self._after_answers)

    def _after_answers(self) -> None:
        self._soon = False
        self.pump_moved()
        self._ownership.progressed()

    def _settled(self, slot: OwnedSlot, entry: Entry) -> None:
        if entry.parked:
            slot.unrecorded.append(entry.seq)
            self._parked.unpark(slot, entry)
        else:
            slot.settle(entry.seq)
        self._recorder.touch(slot)

    def _make_way(self, slot: OwnedSlot, answered: Entry) -> None:
        """Park a recipient with so many messages that others would wait for memory or the cursor.

        Its head was just answered and the next is not out: so all that is behind is parked at once,
        and as ever nothing that is not parked comes before what is.
        """
        most = LANE_MOST_CROWDED if slot.cursor.crowded else LANE_MOST
        if not answered.parked and slot.lanes.length(answered.recipient) > most:
            waiting = slot.lanes.block(answered.recipient)
            self._park(slot, waiting, 0.0, "many wait for this recipient")

    def _on_retry(self, slot: OwnedSlot, message_id: bytes, answer: Answer) -> None:
        entry = slot.lanes.retry(message_id, self._clock() + answer.retry_ms / 1000)
        if entry is None:
            return
        if answer.retry_ms <= PARK_AFTER_MS and entry.attempts < PARK_AFTER_TRIES:
            return  # pump() sets the timer
        self._park(slot, slot.lanes.block(entry.recipient), answer.retry_ms, answer.title)

    def _wake_for(self, slot: OwnedSlot, due: float | None) -> None:
        """One timer a slot, for its next retry; it may fire a moment early: pump sets it anew."""
        if slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None
        if due is not None:
            delay = max(due - self._clock(), 0.001)
            slot.timer = asyncio.get_running_loop().call_later(delay, self.pump, slot)

    def _park(self, slot: OwnedSlot, entries: list[Entry], delay_ms: float, reason: str) -> None:
        """Move messages of one recipient to the parked table, with the cursor's change."""
        now = self._clock()
        for entry in entries:
            lane = slot.parked.setdefault(entry.recipient, ParkedLane(0.0))
            lane.due = max(lane.due, now + delay_ms / 1000)
            lane.ends = min(lane.ends, entry.expires)
            lane.more = True
            # Of one that was told the row is read when it is due: it ends later than by its ttl.
            endless = entry.told or entry.expires == math.inf
            ends = {} if endless else {"ends_ms": int((entry.expires - now) * 1000)}
            slot.note_parked(
                lane,
                "park",
                seq=entry.seq,
                attempts=entry.attempts,
                delay_ms=min(int(delay_ms), PARK_MOST_MS),
                reason=TOLD if entry.told else reason.replace("\0", " ")[:REASON_CHARS] or "retry",
                **ends,
            )
            if entry.parked:
                lane.flying -= 1
                slot.unrecorded.append(entry.seq)
            else:
                slot.settle(entry.seq)
        self._recorder.touch(slot)

    def _park_behind(self, slot: OwnedSlot, recipient: str, entries: list[Entry]) -> None:
        """The recipient is parked already: they wait for as long as what is before them."""
        lane = slot.parked.get(recipient)
        delay = max(0.0, (lane.due - self._clock()) * 1000) if lane else 0.0
        self._park(slot, entries, delay, "behind a parked one")

    def _end_late(self, slot: OwnedSlot, now: float) -> None:
        late = slot.lanes.expire(now)
        if late:
            self._tasks.begin(slot, self._end(slot, late))
            if not slot.caught_up:
                self._load(slot)

    async def _end(self, slot: OwnedSlot, late: list[Entry]) -> None:
        await self._expiry.end(slot, late, self._settled)
        self.pump(slot)

    def _load(self, slot: OwnedSlot) -> None:
        """Read on from the journal, beside everything else, if something is left there."""
        if slot.loading or slot.loaded >= slot.committed or not slot.open:
            return
        slot.loading = True
        self._tasks.begin(slot, self._read(slot))

    async def _read(self, slot: OwnedSlot) -> None:
        try:
            while slot.open and slot.loaded < slot.committed and slot.has_room:
                upto, let_go = slot.committed, slot.parked.let_go
                rows = await self._journal.page(slot.slot, slot.loaded, upto, PAGE, PAGE_BYTES)
                if slot.parked.beyond:
                    await self._parked.find(slot, {row.recipient for row, _ in rows})
                if not slot.open:
                    return
                if slot.parked.let_go != let_go:
                    continue  # who was let go meanwhile may be among these
                for row, age in rows:
                    if not slot.cursor.settled(row.seq):
                        self.ready(slot, row, age)
                full = len(rows) == PAGE or sum(len(row.body) for row, _ in rows) >= PAGE_BYTES
                last = rows[-1][0].seq if full else upto
                slot.settle_gaps((row.seq for row, _ in rows), last)
                self._recorder.touch(slot)
        finally:
            slot.loading = False
        self.pump(slot)

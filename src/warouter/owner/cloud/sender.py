"""Messages to the Cloud API: issued before they begin, one of a recipient until its end is on disk.

It is the sender (``owner.sender``) with another end: a message goes when the number's rate has a
place for it and its issue row is on disk, and what its answer leaves open is a doubt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from warouter.cluster.role import SlotState
from warouter.flow.doubt.events import PlaceGiven, RowStored, RowTakenBack
from warouter.flow.doubt.states import DoubtState, Issue
from warouter.flow.lanes import LaneEntry
from warouter.flow.turns import Turn, Turns
from warouter.kinds import READ_MARK, base_of
from warouter.link.wire import Message
from warouter.message_id import text_of
from warouter.owner.cloud.doubts import Doubts, InLane
from warouter.owner.cloud.finds import Finds
from warouter.owner.cloud.hearsay import Hearsay
from warouter.owner.cloud.looks import DoubtLooks
from warouter.owner.cloud.lookups import Lookups, written
from warouter.owner.cloud.parts import CloudParts
from warouter.owner.cloud.priority_backlog import PriorityBacklog
from warouter.owner.cloud.requests import Requests, RequestSender
from warouter.owner.cloud.reservation import reservable
from warouter.owner.sender import PARK_AFTER_MS, Sender, SenderParts, has_more
from warouter.owner.slot import OwnedSlot
from warouter.owner.stopped import hold_back
from warouter.store.journal.issues import StoredIssue
from warouter.upstream.cloud.outgoing import Untranslatable, read_mark
from warouter.upstream.protocol import Answer


class CloudSender(Sender, RequestSender, InLane):
    """The messages of every open slot, from the commit to the end of their last request."""

    def __init__(self, parts: SenderParts, cloud: CloudParts) -> None:
        rules, clock = cloud.rules, parts.clock
        super().__init__(parts, cloud.upstream, rules.urgent)
        brake, recorder = cloud.pace.brake, parts.recorder
        self.doubts = Doubts(self, self.backlog, self._expiry, recorder, rules, brake, clock)
        self.hearsay = Hearsay(self.doubts, rules, clock)
        self.requests = Requests(parts, cloud, self, self.doubts, self.hearsay)
        self.finds = Finds(self.doubts, rules, self.requests.carryover, clock)
        self.looks = DoubtLooks(
            self.doubts,
            self.finds,
            parts.journal,
            rules,
            cloud.readings,
            cloud.proving,
            brake,
            clock,
        )
        tasks, portfolio = parts.ownership.tasks, cloud.pace.of.portfolio
        self._pace, self._cloud = cloud.pace, cloud.upstream
        self._priority_backlog = PriorityBacklog(self.backlog, parts.journal, rules, tasks)
        self._lookups = Lookups(parts.journal, tasks, cloud.checks_identity, portfolio)
        self._chosen: Sequence[Message] = ()  # to be issued with the messages of the next commit
        self._reserved: dict[bytes, None] = {}  # issued with those of the last one
        self._turns: Turns[OwnedSlot] = Turns(cloud.pace.budget)

    # the life of a slot

    def opened(self, slot: OwnedSlot) -> None:
        self.requests.carryover.opened(slot)
        super().opened(slot)

    def closed(self, slot: OwnedSlot) -> None:
        super().closed(slot)
        self.requests.carryover.closed(slot)
        self._turns.leave(slot)

    def found(self, slot: OwnedSlot, message_id: bytes, row: StoredIssue | None) -> None:
        if row is None:
            slot.issues.found(message_id)
        else:
            self.finds.take(slot, row)

    def in_lane(self, slot: OwnedSlot, message_id: bytes) -> None:
        self.doubts.in_lane(slot, message_id)

    def idle(self, slot: OwnedSlot) -> bool:
        """The end of a refused message is in the record that is being written, if one is."""
        return not self.requests.out(slot) and slot.recorded == slot.records

    def unknown(self, slot: OwnedSlot, entry: LaneEntry) -> bool:
        issue = slot.issues.get(entry.id)
        return issue is not None and issue.doubts > 0

    def take_back(self, slot: OwnedSlot) -> None:
        self.requests.take_back(slot)

    def media_gone(self, entry: LaneEntry) -> None:
        self._attachments.gone(entry)

    def look_again(self, slot: OwnedSlot) -> None:
        """Look again at a slot of which something may go now."""
        if has_more(slot):
            self.moved(slot)
        self._look_soon()

    def _ask_again(self, slot: OwnedSlot) -> None:
        """Send what waits; what is out is never repeated: its end comes, or it is in doubt."""
        self.pump(slot)

    # with the append

    def reserve(self, rows: Sequence[Message]) -> list[Message]:
        """Rows that may leave right after their commit, with their issue row in it."""
        now = self._clock()
        if self._turns.due(now) is not None:
            return []  # others wait already
        self._chosen = reservable(rows, self._places, self._pace, now)
        return self._chosen

    def reserved(self, rows: Sequence[Message]) -> None:
        self._reserved = dict.fromkeys([row.id for row in rows])
        if not rows:  # none of their rows was written
            for row in self._chosen:
                row.owned.issues.forget(row.id)

    def committed(self, slot: OwnedSlot, rows: Sequence[Message]) -> None:
        issued = [row for row in rows if row.id in self._reserved] if self._reserved else ()
        for row in issued:
            self.doubts.tell(slot, slot.issues[row.id], RowStored())
            if not slot.takes(row.number, row.seq):  # its number was paused meanwhile
                self.doubts.tell(slot, slot.issues[row.id], RowTakenBack())
        begin = self.backlog.add(slot, rows, self._reserved)
        self._priority_backlog.offer(slot, rows)
        for entry, media in self._attachments.prepared(slot, begin, self):
            self.sent += 1
            self._send(slot, entry, media)

    # to the Cloud API

    def _heads(self, slot: OwnedSlot, _below: int | None) -> list[LaneEntry]:
        """None at once: the slot has its turns."""
        lanes = slot.lanes
        if not lanes.ready:  # nearly always
            return []
        if lanes.peek(priority=True) is not None:
            self._turns.offer(Turn(slot, priority=True))
        if lanes.peek(priority=False) is not None:
            self._turns.offer(Turn(slot, priority=False))
        self.take_turns()
        return []

    def take_turns(self) -> None:
        """Begin what the budget allows, a head of each slot in turn."""
        now = self._clock()
        while self._places > 0 and (turn := self._turns.next(now)) is not None:
            self._take_turn(turn, now)
        if self._places <= 0:
            return  # whoever lets the number go on tells of it, or the next answer does
        due = self._turns.due(now)
        if due is not None:
            self._pace.call_in(due)

    @property
    def _places(self) -> int:
        """The number of requests that may be issued now.

        More would only wait for connections: a crash would leave them in doubt, and whoever has
        priority would go after them.
        """
        return self._pace.places(self._cloud.room, self.requests.issuer.waiting)

    def _after_answers(self) -> None:
        super()._after_answers()
        self.take_turns()

    def _take_turn(self, turn: Turn[OwnedSlot], now: float) -> None:
        slot = turn.slot
        head = self._head(slot, priority=turn.priority)
        if head is None:
            self._turns.withdraw(turn)
            return
        if slot.stopped and head.number in slot.stopped:
            _leave_unbegun(self.doubts, slot, head)
            hold_back(self.backlog, slot, head)
            return
        free, mark = _has_place(slot, head), base_of(head.kind) == READ_MARK
        if not free and not mark:
            wait = self._pace.pairs.take(head.recipient, now)
            if wait > 0.0:
                self._wait(slot, head, wait)
                return
        slot.lanes.go(head)
        if not free:
            self._turns.spend(turn, now)
            self._pace.begun += 1
            if not mark:  # its place is kept while it waits for its media, or for a look-up
                new = Issue(head.seq, head.id, head.recipient, number=head.number)
                self.doubts.tell(slot, slot.issues.get(head.id, new), PlaceGiven())
        for entry, media in self._attachments.prepared(slot, [head], self):
            self.sent += 1
            self._send(slot, entry, media)

    def _head(self, slot: OwnedSlot, *, priority: bool) -> LaneEntry | None:
        if (
            slot.state is not SlotState.ACTIVE
            or slot.quiet
            or not self._ownership.may_act(slot.slot)
        ):
            return None
        cursor = slot.messages.cursor
        return slot.lanes.peek(priority=priority, below=cursor.first_range if cursor.full else None)

    def _send(self, slot: OwnedSlot, entry: LaneEntry, media: tuple[str, ...]) -> None:
        if base_of(entry.kind) == READ_MARK:
            self.requests.mark_read(slot, entry, read_mark(entry.body))
            return
        found = self._lookups.found(slot, entry, self)
        if found is None:
            return
        try:
            body = written(entry, slot.issues[entry.id].next_attempt, found, media)
        except Untranslatable as why:
            answer = Answer(slot.slot, text_of(entry.id), why.code, why.title, why.details)
            self.on_answer(slot, entry.id, answer)
        else:
            self.requests.begin_or_issue(slot, entry, body)

    def _wait(self, slot: OwnedSlot, entry: LaneEntry, seconds: float) -> None:
        """The recipient's own rate has no place for it now."""
        self._pace.pair_waits += 1
        if seconds <= PARK_AFTER_MS / 1000:
            slot.lanes.put_off(entry, self._clock() + seconds)
            self._wake_for(slot, slot.lanes.due(self._clock()))
        else:
            waiting = slot.lanes.block(entry.lane)
            self.backlog.park(slot, waiting, math.ceil(seconds * 1000), "pair rate")


_PLACED = (DoubtState.PLACED, DoubtState.ISSUED)


def _has_place(slot: OwnedSlot, head: LaneEntry) -> bool:
    """The message has its place in the rate, and its request has not begun. A read mark needs none,
    before it is refused: Meta may count it after all.
    """
    if base_of(head.kind) == READ_MARK:
        return head.attempts == 0
    issue = slot.issues.get(head.id)
    return issue is not None and issue.state in _PLACED


def _leave_unbegun(doubts: Doubts, slot: OwnedSlot, head: LaneEntry) -> None:
    """Let the head count as out, and take back its issue row if it has one."""
    slot.lanes.go(head)
    issue = slot.issues.get(head.id)
    if issue is not None and issue.state is DoubtState.ISSUED:
        doubts.tell(slot, issue, RowTakenBack())

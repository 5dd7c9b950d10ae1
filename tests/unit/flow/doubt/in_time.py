"""An owner of a slot with messages of two lanes, on a clock that the test moves.

It carries out what ``step`` and ``found`` say, as ``owner.cloud`` does.
"""

from __future__ import annotations

import math
from typing import Any

from tests.unit.flow.doubt.ledger import (
    BUSY,
    EVIDENCE,
    FENCE,
    HELD,
    LEASE,
    ON_DISK,
    REFUSAL,
    SENT,
    WATCHDOG,
    Ghost,
    Ledger,
    Memory,
    Message,
    Request,
    Row,
    S,
)
from warouter.flow.doubt import effects as do
from warouter.flow.doubt import events as on
from warouter.flow.doubt.effects import Effect
from warouter.flow.doubt.events import DoubtEvent
from warouter.flow.doubt.found import FoundRow, found
from warouter.flow.doubt.machine import step
from warouter.flow.doubt.states import KEPT, REQUESTED, SHUT, TIMED, Issue, RowState, Treatment
from warouter.flow.progress import Park, Stated, Took, Unissued


class Slot(Ledger):
    """The slot under one owner after the other."""

    def __init__(self, messages: list[Message]) -> None:
        super().__init__(messages)
        self.memory = Memory(self.stored)
        self.load()

    # what an owner does

    def tell(self, seq: int, event: DoubtEvent) -> None:
        """Something happens to a message."""
        message = self.messages[seq]
        issue = self.memory.issues.get(seq, Issue(seq, message.id, message.to))
        self._carry_out(issue, *step(issue, event, self.now))

    def _carry_out(self, before: Issue, after: Issue, effects: tuple[Effect, ...]) -> None:
        memory, seq = self.memory, before.seq
        memory.issues[seq] = after
        if after.state is S.ENDED:
            del memory.issues[seq]
            memory.over.add(seq)
        if after.state in KEPT | {S.ASIDE}:
            self.passed.add(seq)
        for effect in effects:
            self._do(self.messages[seq], effect)

    def _do(self, message: Message, effect: Effect) -> None:
        memory = self.memory
        match effect:
            case do.NoteChange(change):
                memory.notes.append(change)
            case do.ShutLane():
                self._shut(message)
            case do.ReopenLane():
                self._reopen(message)
            case do.ReturnToLane():
                assert self.is_free(message), "it returns to a lane that is not free"
                memory.lane.add(message.seq)
                memory.read.discard(message.seq)
            case do.Settle(reopen) | do.EndMessage(reopen):
                self._leave(message, reopen=reopen)
            case do.Refuse(failure):
                memory.lane.discard(message.seq)
                memory.ending.add(message.seq)
                memory.said.append((message.seq, "unknown" not in failure.details, True))
            case do.SayFailed(failure):
                memory.said.append((message.seq, "unknown" not in failure.details, False))
            case do.Resent():
                self.resends(message)
            case _:
                pass

    def _leave(self, message: Message, *, reopen: bool) -> None:
        for where in (self.memory.lane, self.memory.ending):
            where.discard(message.seq)
        self.memory.leaving.add(message.seq)
        if reopen:
            self._reopen(message)

    def _shut(self, message: Message) -> None:
        """Its lane is parked, to be read anew once it is opened."""
        self.memory.shut.add(message.to)
        self.memory.read -= {m.seq for m in self.messages.values() if m.to == message.to}

    def _reopen(self, message: Message) -> None:
        self.memory.shut.discard(message.to)
        self.memory.far.discard(message.to)

    def is_free(self, message: Message) -> bool:
        """True if a message that has left its lane may return."""
        noted = any(getattr(note, "seq", 0) == message.seq for note in self.memory.notes)
        shut = message.to in self.memory.shut | self.memory.far
        return not (shut or noted or message.seq in self.memory.leaving or self._busy(message))

    def _busy(self, message: Message) -> bool:
        others = [m for m in self.messages.values() if m.to == message.to and m != message]
        issues = [issue for m in others if (issue := self.memory.issues.get(m.seq))]
        ends = any(m.seq in self.memory.ending for m in others)
        return ends or any(issue.state in BUSY for issue in issues)

    def head(self, to: str) -> Message | None:
        """The message of a lane that may go now."""
        memory = self.memory
        lane = [m for m in self.messages.values() if m.to == to and m.seq in memory.lane]
        ending = {m.seq for m in self.messages.values() if m.to == to} & memory.leaving
        if not lane or to in memory.shut or ending & self.stored:
            return None
        first = min(lane)
        issue = memory.issues.get(first.seq)
        busy = issue is not None and issue.state in BUSY
        return None if busy or first.seq not in memory.read or self._busy(first) else first

    def issues_row(self, message: Message) -> None:
        """It gets a place, and its row is written."""
        self.tell(message.seq, on.PlaceGiven())
        if self.memory.issues[message.seq].rows:
            self.record()  # or that would change the row of another request
        issue = self.memory.issues[message.seq]
        self.tell(message.seq, on.RowAsked())
        row = Row(issue.next_attempt, issue.doubts, RowState.ISSUED, self.now)
        row.spared = issue.spared
        self.rows[message.seq] = row
        self.tell(message.seq, on.RowStored())

    def begin(self, seq: int, *, probing: bool) -> None:
        assert seq not in self.known, "sent again although it is known to be taken"
        assert seq not in self.told, "sent although it was told as failed"
        self.tell(seq, on.RequestBegun(probing))
        self.writes(self.messages[seq], self.memory.issues[seq].attempt, heard=True)

    def load(self) -> None:
        """The lanes that are not shut are read."""
        for seq in sorted(self.memory.lane - self.memory.read):
            message = self.messages[seq]
            waits = any(isinstance(note, Park) and note.seq == seq for note in self.memory.notes)
            if message.to in self.memory.shut | self.memory.far or waits:
                continue
            self.find(seq)
            if seq in self.memory.lane:
                self.memory.read.add(seq)
                issue = self.memory.issues.get(seq)
                if issue is not None and issue.state in SHUT:
                    assert not self._busy(message), "one that is out is parked with it"
                    self._shut(message)

    def find(self, seq: int) -> None:
        """The row of a message is read, unless memory knows better."""
        row, message = self.rows.get(seq), self.messages[seq]
        known = seq in self.memory.issues or seq in self.memory.over
        if row is None or known or row.state is RowState.ISSUED:
            return
        state = row.attempt, row.doubts, row.state, self.now - row.at
        ends = message.ends - self.now
        facts = FoundRow(seq, message.id, message.to, *state, "", ends, row.spared, fresh=row.fresh)
        after, effects = found(facts, Treatment(), self.now)
        fresh = Issue(seq, message.id, message.to)
        self._carry_out(fresh if row.fresh else after, after, effects)
        if seq in self.known:
            self.tell(seq, on.EvidenceStored())

    def forget(self) -> None:
        """What is on disk leaves memory."""
        if not (self.memory.notes or self.memory.leaving):
            for seq, issue in list(self.memory.issues.items()):
                if issue.state in ON_DISK:
                    del self.memory.issues[seq]

    def record(self) -> None:
        """All that is noted is written."""
        memory, back = self.memory, set[int]()
        for change in memory.notes:
            match change:
                case Took(seq, message_id):
                    self.known.add(bytes.fromhex(message_id)[0])
                    self.rows.pop(seq, None)
                case Stated(seq, attempt, state, doubts, spared=spared):
                    row = self.rows.get(seq)
                    if row is not None and row.attempt == attempt:
                        goes_on = row.state in (2, 5, 7) and state in (2, 5, 6, 7)
                        at = row.at if goes_on else self.now
                        self.rows[seq] = Row(attempt, doubts, RowState(state), at, spared=spared)
                case Unissued(seq, attempt):
                    row = self.rows.get(seq)
                    if row is not None and attempt in (None, row.attempt):
                        del self.rows[seq]
                case Park(seq):
                    back.add(seq)
        self.stored = (self.stored | back) - memory.leaving
        self.shut = memory.shut | memory.far
        memory.notes, memory.leaving = [], set()

    def store(self, said: tuple[int, bool, bool]) -> None:
        """A ``failed`` is written, in one commit with what it means."""
        seq, sure, in_lane = said
        self.memory.said.remove(said)
        self.told[seq] = sure
        if in_lane:
            if seq in self.memory.issues:
                self.tell(seq, on.MessageSettled())
            self._leave(self.messages[seq], reopen=False)
        elif seq in self.memory.issues:
            self.tell(seq, on.FailureStored(FENCE))
        self.record()

    def expire(self, message: Message) -> None:
        """It was too old, and had not begun."""
        issue = self.memory.issues.get(message.seq)
        if issue is not None:
            self.tell(message.seq, on.TtlOver())
        self.memory.lane.discard(message.seq)
        self.memory.ending.add(message.seq)
        self.memory.said.append((message.seq, issue is None or not issue.doubts, True))

    # what an owner hears

    def hear(self, request: Request, end: str) -> None:
        """The answer to a request, or that there is none; a former owner leaves a word."""
        seq, attempt = request.message.seq, request.attempt
        request.heard = False
        if request.epoch != self.epoch:
            if end != "unclear":
                self.comes(seq, attempt, end)
            return
        issue = self.memory.issues.get(seq)
        out = issue is not None and issue.state in REQUESTED and issue.attempt == attempt
        if end == "taken" or not out:
            self.word(seq, attempt, end)
        elif end == "unclear":
            self.unclear.add((seq, attempt))
            self.tell(seq, on.AnsweredUnclear(end, Treatment(), request.message.ends))
        else:
            refused = end == "refused"
            self.tell(seq, on.AnsweredRefused(REFUSAL) if refused else on.AnsweredNotTaken())

    def word(self, seq: int, attempt: int, what: str) -> bool:
        """A word about an attempt; False: not now."""
        issue = self.memory.issues.get(seq)
        if issue is None or what == "unclear":
            return True
        if what in EVIDENCE:
            took = Took(0, issue.id.hex(), attempt, f"wamid.{seq}.{attempt}")
            self.tell(seq, on.EvidenceSeen(took, what))
            assert seq not in self.memory.issues, "evidence ends a message"
        elif issue.attempt == attempt and what == "refused":
            self.tell(seq, on.ToldRefused(REFUSAL))
        elif issue.attempt == attempt:
            self.unclear.discard((seq, attempt))
            free = self.is_free(self.messages[seq])
            self.tell(seq, on.ToldNotTaken(self.messages[seq].rule, free))
            return free or self.memory.issues[seq].state is not S.HELD
        return True

    def read(self) -> None:
        """The inbox is read to its end."""
        self.memory.read_at = self.now
        waiting = []
        for row in self.inbox:
            self.find(row.seq)
            if row.what in EVIDENCE:
                self.known.add(row.seq)
            if not self.word(*row[:3]):
                waiting.append(row)
        self.inbox = waiting

    # time

    def pass_time(self, seconds: float) -> None:
        """Time passes. A request that has no answer in time is unclear."""
        self.now += seconds
        for request in self.requests:
            if self.now >= request.until and not request.over:
                request.over = True
                if request.heard:
                    self.hear(request, "unclear")
        self.ghosts = [ghost for ghost in self.ghosts if self.now < ghost.until]

    def look(self, *, brake: bool = False) -> None:
        """Look at whatever time may change."""
        for seq in sorted(self.rows):
            self.find(seq)
        for seq, issue in sorted(self.memory.issues.items()):
            if issue.state in TIMED:
                proven = self.proof if self.proof >= issue.since else math.inf
                facts: Any = (self.messages[seq].rule, FENCE, HELD, SENT, proven)
                free = self.is_free(self.messages[seq])
                self.tell(seq, on.TimePassed(*facts, self.memory.read_at, free, brake))
                self.decided(issue, self.memory.issues.get(seq, issue).state)

    def take_over(self, *, frozen: bool) -> None:
        """Another process owns the slot; the former one may be frozen just as it begins."""
        for seq, issue in self.memory.issues.items():
            if frozen and issue.state is S.ISSUED:
                until = self.now + LEASE + WATCHDOG
                self.ghosts.append(Ghost(self.messages[seq], issue.next_attempt, until))
        self.epoch += 1
        for seq, row in self.rows.items():
            if row.state is RowState.ISSUED:
                self.unclear.add((seq, row.attempt))
                row.state, row.doubts, row.at, row.fresh = (
                    RowState.DOUBTED,
                    row.doubts + 1,
                    self.now,
                    True,
                )
        self.memory = Memory(self.stored)
        self.memory.far = set(self.shut)

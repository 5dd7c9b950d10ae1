"""Messages whose requests may have been taken: tells the machine of events, and does what it says.

Everything is decided in ``flow.doubt``. A message is wherever it is: in the lanes, in the journal,
in the parked table; one whose lane is shut is parked with what is behind it. Nothing behind it goes
before its end is on disk.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from typing import Protocol, assert_never

from msgspec.structs import replace

from warouter.flow.causes import word_of
from warouter.flow.doubt import effects as do
from warouter.flow.doubt.events import DoubtEvent, FailureReason, FailureStored
from warouter.flow.doubt.machine import step
from warouter.flow.doubt.states import REQUESTED, SHUT, TIMED, DoubtState, Issue
from warouter.flow.lanes import LaneEntry
from warouter.flow.progress import Change, Reopened, Stated, Took, Unpark
from warouter.log import of_number
from warouter.message_id import text_of
from warouter.owner.backlog import Backlog
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.rate.brake import Brake
from warouter.owner.expiry import Expiry
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.upstream.protocol import Answer

log = logging.getLogger(__name__)

_SETTLING = (do.Settle, do.EndMessage)  # they tell the recorder themselves


class InLane(Protocol):
    """Whoever's messages they are: the sender."""

    def on_answer(self, slot: OwnedSlot, message_id: bytes, answer: Answer) -> None:
        """The message that is out was refused, or is to be tried again."""


class Doubts:
    """The messages of every open slot that the machine knows."""

    def __init__(
        self,
        lanes: InLane,
        backlog: Backlog,
        expiry: Expiry,
        recorder: Recorder,
        rules: RuleBook,
        brake: Brake,
        clock: Callable[[], float],
    ) -> None:
        self._lanes = lanes
        self._backlog = backlog
        self._expiry = expiry
        self._recorder = recorder
        self._rules = rules
        self._brake = brake
        self._clock = clock
        self.begun: Counter[str] = Counter()  # by cause
        self.ended: Counter[str] = Counter()  # by what
        self.blind = 0

    def tell(
        self, slot: OwnedSlot, issue: Issue, event: DoubtEvent, answer: Answer | None = None
    ) -> bool:
        """Tell what has happened to a message, with the ``answer`` that said so. False: not now,
        tell it again.
        """
        after, effects = step(issue, event, self._clock())
        self.carry_out(slot, issue, after, effects, answer)
        return do.NotNow() not in effects

    def carry_out(
        self,
        slot: OwnedSlot,
        before: Issue,
        after: Issue,
        effects: tuple[do.Effect, ...],
        answer: Answer | None = None,
    ) -> None:
        """Keep the message in its new state, and do what there is to do."""
        noted = any(isinstance(effect, do.NoteChange) for effect in effects)
        look = self._rules.next_look(after, self._clock()) if after.state in TIMED else math.inf
        slot.issues.keep(after, look, slot.next_record if noted else None)
        if after.state is not before.state:
            self._say(slot, after)
        for effect in effects:
            self._do(slot, before, after, effect, answer)
        if noted and not any(isinstance(effect, _SETTLING) for effect in effects):
            self._recorder.touch(slot)

    def _do(
        self, slot: OwnedSlot, before: Issue, after: Issue, effect: do.Effect, answer: Answer | None
    ) -> None:
        match effect:
            case do.NoteChange(change):
                if isinstance(change, Took) and _is_first(before):
                    slot.recent.taken(before.id, before.recipient, change.wamid, before.number)
                self._note(slot, after, change)
            case (
                do.ShutLane() | do.ReopenLane() | do.ReturnToLane() | do.Settle() | do.EndMessage()
            ):
                self._move(slot, after, effect)
            case do.Retry() | do.Refuse() | do.SayFailed():
                self._answer(slot, after, effect, answer)
            case do.CountEnd() | do.EndedBlind() | do.Resent() | do.MayBeHeard():
                self._count(slot, before, effect)
            case do.NotNow():
                pass  # whoever told it does so again
            case _:
                assert_never(effect)

    def _move(self, slot: OwnedSlot, issue: Issue, effect: do.LaneEffect) -> None:
        match effect:
            case do.ShutLane():
                self._shut(slot, issue)
            case do.ReopenLane():
                self._reopen(slot, issue)
            case do.ReturnToLane():
                slot.lanes.block(issue.lane)
            case do.Settle(reopen):
                self._settle(slot, issue, reopen=reopen)
            case do.EndMessage(reopen):
                self._end(slot, issue, reopen=reopen)
            case _:
                assert_never(effect)

    def _answer(
        self, slot: OwnedSlot, issue: Issue, effect: do.AnswerEffect, answer: Answer | None
    ) -> None:
        match effect:
            case do.Retry():
                assert answer is not None
                self._lanes.on_answer(slot, issue.id, answer)
            case do.Refuse(failure):
                self._lanes.on_answer(slot, issue.id, _failure(slot, issue, failure))
            case do.SayFailed(failure):
                told = _failure(slot, issue, failure)
                self._expiry.fail(slot, _entry(issue), told, _Failed(self))
            case _:
                assert_never(effect)

    def _count(self, slot: OwnedSlot, issue: Issue, effect: do.CountEffect) -> None:
        """Count what has become of a message; ``issue`` is as it was before."""
        match effect:
            case do.CountEnd(by):
                self.ended[by] += 1
                log.info("doubt ended", extra=about(slot, issue, by=by))
            case do.EndedBlind():
                self.blind += 1
                log.warning("doubt ended unproven", extra=about(slot, issue, blind=True))
            case do.Resent():
                self._brake.resends(issue.id, self._clock())
            case do.MayBeHeard(attempt):
                until = issue.since + self._rules.of(issue.treatment).window
                slot.issues.may_be_heard(issue.id, attempt, until, self._clock())
            case _:
                assert_never(effect)

    def _note(self, slot: OwnedSlot, issue: Issue, change: Change) -> None:
        if isinstance(change, Stated) and issue.state in TIMED:
            now = self._clock()
            look = self._rules.next_look(issue, now)
            change = change._replace(look_ms=int((look - now) * 1000))
        slot.messages.note(change)

    def _say(self, slot: OwnedSlot, issue: Issue) -> None:
        match issue.state:
            case DoubtState.DOUBT:
                self.begun[word_of(issue.cause)] += 1
                log.info("message doubted", extra=about(slot, issue, cause=issue.cause))
            case DoubtState.HELD:
                log.warning("message held", extra=about(slot, issue))
            case DoubtState.GONE:
                self.begun[word_of(issue.cause)] += 1
                log.error("message row gone", extra=about(slot, issue))

    # lanes

    def in_lane(self, slot: OwnedSlot, message_id: bytes) -> None:
        """Take a message that was read into its lane: in doubt, it shuts it, unless an earlier one
        that has returned is out. That lands first, and then this one is read again.
        """
        issue = slot.issues.get(message_id)
        if issue is not None and issue.state in SHUT and not slot.lanes.flies(issue.lane):
            self._shut(slot, issue)

    def _shut(self, slot: OwnedSlot, issue: Issue) -> None:
        """Park the message and whatever is in its lane, until that is reopened."""
        waiting = slot.lanes.block(issue.lane)
        if waiting:  # the table looks at a lane when its first row is due: once it is reopened
            first = replace(waiting[0], told=False)
            self._backlog.park(slot, [first], math.inf, "in doubt")
            self._backlog.park(slot, waiting[1:], 0.0, "in doubt")
        slot.messages.parked.shut(issue.lane, self._clock())

    def _reopen(self, slot: OwnedSlot, issue: Issue) -> None:
        """Let what is behind the message go: once that is on disk, and from the parked table."""
        lane, parked = issue.lane, slot.messages.parked
        # One that is out went before this message was known to be in doubt, and goes on.
        flies = slot.lanes.flies(lane)
        if not flies and (waiting := slot.lanes.block(lane)):
            self._backlog.park_behind(slot, lane, waiting)
        slot.messages.note(Reopened(issue.recipient, issue.number))
        if not flies or lane in parked:
            parked.reopen(lane, self._clock(), slot.next_record)
        self._backlog.look_soon()

    def _settle(self, slot: OwnedSlot, issue: Issue, *, reopen: bool) -> None:
        """Out of the journal and out of the parked table, whichever it is in."""
        slot.settle(issue.number, issue.seq)
        slot.messages.note(Unpark(issue.seq))
        if reopen:
            self._reopen(slot, issue)
        slot.lanes.end_unread(_entry(issue))
        self._recorder.touch(slot)

    def _end(self, slot: OwnedSlot, issue: Issue, *, reopen: bool) -> None:
        entry = slot.lanes.withdraw(issue.lane, issue.id)
        if entry is not None:
            self._backlog.ended(slot, entry)
        else:
            slot.issues.end(issue.id)
            self._settle(slot, issue, reopen=reopen)

    def is_free(self, slot: OwnedSlot, issue: Issue) -> bool:
        """True if a message that has left its lane may return: nothing else is in it, and that it
        left is on disk.
        """
        lane = slot.messages.parked.get(issue.lane)
        idle = lane is None or (lane.waiting and not lane.shut)
        free = idle and slot.lanes.length(issue.lane) == 0
        return free and slot.issues.on_disk(issue, slot.recorded)

    def failed(self, slot: OwnedSlot, message_id: bytes) -> None:
        """Go on as its ``failed`` is written, unless evidence came meanwhile."""
        if (issue := slot.issues.get(message_id)) is not None:
            self.tell(slot, issue, FailureStored(self._rules.fence))


class _Failed:
    """Tells of a ``failed`` status that is being written."""

    def __init__(self, doubts: Doubts) -> None:
        self._doubts = doubts

    def ended(self, slot: OwnedSlot, entry: LaneEntry) -> None:
        self._doubts.failed(slot, entry.id)


def _is_first(issue: Issue) -> bool:
    """True while the request that is out is the only one that can have been taken."""
    return issue.state in REQUESTED and issue.attempt == 1 and not issue.doubts


def about(slot: OwnedSlot, issue: Issue, **more: object) -> dict[str, object]:
    """The fields of a log line about a message."""
    said = {"slot": slot.slot, "id": text_of(issue.id), "attempt": issue.attempt}
    return said | of_number(issue.number) | more


def _entry(issue: Issue) -> LaneEntry:
    """Its place in its lane, without what is sent of it."""
    return LaneEntry(issue.seq, issue.id, issue.lane, 0, b"", number=issue.number)


def _failure(slot: OwnedSlot, issue: Issue, failure: FailureReason) -> Answer:
    return Answer(slot.slot, text_of(issue.id), *failure)

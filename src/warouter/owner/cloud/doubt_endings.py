"""How a message in doubt ends: by evidence, by an answer after all, by its policy, by an operator.

Its message is wherever it is: in the lanes, in the journal, in the parked table. Nothing behind it
goes before its end is on disk, and none before an old request can be taken no more.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable

from msgspec.structs import replace

from warouter.flow.doubt import DoubtState, goes_again
from warouter.flow.issues import Issue
from warouter.flow.lanes import LaneEntry
from warouter.flow.progress import Park, Stated, Took, Unissued, Unpark
from warouter.message_id import text_of
from warouter.owner.backlog import Backlog
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.expiry import Expiry
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.store.journal.issues import KEPT, NOT_TAKEN
from warouter.upstream.protocol import Answer

log = logging.getLogger(__name__)

Why = tuple[int, str, str]  # code, title and details of an error
UNKNOWN: Why = (500, "Generic error", "outcome unknown, not sent again")
EARLIER = "outcome unknown: an earlier request of it may have been taken; the last one: "
EXPIRED: Why = (410, "Message expired", "outcome unknown: the ttl passed before an answer came")


def about(slot: OwnedSlot, issue: Issue, **more: object) -> dict[str, object]:
    """The fields of a log line about an issue."""
    return {"slot": slot.slot, "id": text_of(issue.id), "attempt": issue.attempt, **more}


def hedged(issue: Issue, answer: Answer) -> Answer:
    """A refusal for good as it is told: of the last request, where an earlier one may be taken."""
    return replace(answer, details=EARLIER + answer.details) if issue.doubts else answer


class DoubtEndings:
    """Ends doubts, and counts by what."""

    def __init__(
        self,
        backlog: Backlog,
        expiry: Expiry,
        recorder: Recorder,
        rules: RuleBook,
        clock: Callable[[], float],
    ) -> None:
        self._backlog = backlog
        self._expiry = expiry
        self._recorder = recorder
        self._rules = rules
        self._clock = clock
        self.counts: Counter[str] = Counter()

    def count(self, slot: OwnedSlot, issue: Issue, by: str) -> None:
        """Count one more issue that has ended."""
        self.counts[by] += 1
        log.info("doubt ended", extra=about(slot, issue, by=by))

    def evidence(self, slot: OwnedSlot, took: Took, by: str) -> bool:
        """An attempt of this message was taken: whatever its state is, it ends. False: it had."""
        message_id = bytes.fromhex(took.id)
        issue = slot.issues.pop(message_id, None)
        if issue is None:
            return False
        slot.messages.note(took._replace(seq=issue.seq))
        if issue.state in (DoubtState.DOUBT, DoubtState.HELD):
            self.count(slot, issue, by)
        slot.leave_unheard(issue, slot.issues.ended(issue, took.attempt, self._clock()))
        self._end(slot, issue)
        return True

    def wait_for_sent(self, slot: OwnedSlot, issue: Issue, took: Took) -> None:
        """Let those behind a taken message wait for its ``sent``, or for a few seconds."""
        issue.state, issue.since = DoubtState.TAKEN, self._clock()
        slot.messages.note(took)  # without its seq: the issue row stays until it is settled
        self._recorder.touch(slot)

    def proven(self, slot: OwnedSlot, message_id: bytes) -> None:
        """End the issue; its evidence is stored already."""
        issue = slot.issues.pop(message_id, None)
        if issue is not None:
            slot.messages.note(Unissued(issue.seq))
            if in_doubt := issue.state is not DoubtState.TAKEN:
                self.count(slot, issue, "status")
            slot.leave_unheard(issue, issue.doubts - in_doubt)
            self._end(slot, issue)

    def not_taken(self, slot: OwnedSlot, issue: Issue) -> None:
        """The last request of a message in doubt was surely not taken: it goes again, once its lane
        is free if its place there was given away; unless its end is being said already.
        """
        if issue.saying:
            return
        if issue.aside:
            issue.not_taken = True
            return
        issue.doubts -= 1
        self.state(slot, issue, NOT_TAKEN)
        self.count(slot, issue, "answer")
        self._again(slot, issue)

    def heard(
        self, slot: OwnedSlot, message_id: bytes, attempt: int, answer: Answer, *, final: bool
    ) -> bool:
        """One attempt ended so, as a former owner heard, or this one under a former epoch.
        False: not now, say it again.
        """
        issue = slot.issues.get(message_id)
        if issue is None or issue.attempt != attempt:
            return True
        if issue.state is DoubtState.HELD and not final:
            return self._held_not_taken(slot, issue)
        if issue.state in (DoubtState.DOUBT, DoubtState.HELD):
            if final:
                self.refused(slot, issue, answer)
            else:
                self.not_taken(slot, issue)
        return True

    def _held_not_taken(self, slot: OwnedSlot, issue: Issue) -> bool:
        assert issue.rule is not None
        if issue.saying:
            return True
        if goes_again(issue.doubts - 1, issue.rule) and not issue.gone:
            issue.not_taken = True
            return self.resend(slot, issue, "answer")
        issue.doubts -= 1
        self.state(slot, issue, KEPT)
        return True

    def refused(self, slot: OwnedSlot, issue: Issue, answer: Answer) -> None:
        """The last request of a message in doubt was refused for good."""
        if issue.saying:
            return
        issue.doubts -= 1
        if not issue.doubts:
            issue.since = -math.inf  # no request of it can be taken any more
        answer = hedged(issue, answer)
        self.fail(slot, issue, (answer.code, answer.title, answer.details), "answer")

    def resend(self, slot: OwnedSlot, issue: Issue, by: str = "resend") -> bool:
        """Send it once more, under the next attempt, when its lane lets it. False: not now, as its
        place was given away, and a message of its recipient is on its way.
        """
        if issue.aside or issue.state is DoubtState.HELD:
            if not self._may_return(slot, issue):
                return False
            issue.doubts -= issue.not_taken
            slot.lanes.block(issue.recipient)
            slot.messages.note(Park(issue.seq, 0, 0, "sent again"))
            self.state(slot, issue, NOT_TAKEN)  # a later owner finds it in its lane
            slot.messages.parked.shut(issue.recipient, self._clock())
        self.count(slot, issue, by)
        self._again(slot, issue)
        return True

    def _may_return(self, slot: OwnedSlot, issue: Issue) -> bool:
        """True if its lane is empty, and that it left is on disk: one record cannot say both."""
        lane = slot.messages.parked.get(issue.recipient)
        idle = slot.lanes.length(issue.recipient) == 0 and (lane is None or lane.waiting)
        return idle and slot.recorded >= issue.left

    def _again(self, slot: OwnedSlot, issue: Issue) -> None:
        issue.state, issue.drained_after = DoubtState.QUEUED, None
        issue.aside = issue.not_taken = False
        self._reopen(slot, issue)

    def hold(self, slot: OwnedSlot, issue: Issue) -> None:
        self.count(slot, issue, "hold")
        shut = not issue.aside
        issue.state, issue.since, issue.aside = DoubtState.HELD, self._clock(), False
        self.state(slot, issue, KEPT)
        self.settle(slot, issue, reopen=shut)
        log.warning("message held", extra=about(slot, issue))

    def step_aside(self, slot: OwnedSlot, issue: Issue) -> None:
        """Let those behind it go on, while it waits."""
        issue.aside = True
        self.settle(slot, issue)

    def fail(self, slot: OwnedSlot, issue: Issue, why: Why, by: str) -> None:
        self.count(slot, issue, by)
        issue.saying = True
        slot.issues.fail(issue.id)
        slot.leave_unheard(issue, issue.doubts)
        entry = LaneEntry(issue.seq, issue.id, issue.recipient, 0, b"")
        answer = Answer(slot.slot, text_of(issue.id), *why)
        self._expiry.fail(slot, entry, answer, _Failed(self, issue))

    def failed(self, slot: OwnedSlot, issue: Issue) -> None:
        """Go on once its ``failed`` is on disk."""
        issue.said = True
        if issue.state is DoubtState.DOUBT:
            self.shut_until_fence(slot, issue, self._clock())
        elif slot.issues.pop(issue.id, None) is not None:
            slot.messages.note(Unissued(issue.seq))
            self._recorder.touch(slot)

    def shut_until_fence(self, slot: OwnedSlot, issue: Issue, now: float) -> None:
        """Keep its recipient's lane shut until its old request cannot be taken any more."""
        if now - issue.since < self._rules.fence or slot.issues.pop(issue.id, None) is None:
            return
        slot.messages.note(Unissued(issue.seq))
        self.settle(slot, issue, reopen=not issue.aside)

    # settling

    def _end(self, slot: OwnedSlot, issue: Issue) -> None:
        """End the message, wherever it is; its issue is gone already."""
        entry = slot.lanes.withdraw(issue.recipient, issue.id)
        if entry is not None:
            self._backlog.ended(slot, entry)
        else:
            slot.issues.prove(issue.id)
            self.settle(slot, issue, reopen=issue.state is DoubtState.DOUBT and not issue.aside)

    def settle(self, slot: OwnedSlot, issue: Issue, *, reopen: bool = True) -> None:
        """Out of the journal and out of the parked table, whichever it is in."""
        issue.left = slot.next_record
        slot.messages.settle(issue.seq)
        slot.messages.note(Unpark(issue.seq))
        if reopen:
            self._reopen(slot, issue)
        self._recorder.touch(slot)

    def _reopen(self, slot: OwnedSlot, issue: Issue) -> None:
        slot.messages.parked.reopen(issue.recipient, self._clock(), slot.next_record)
        self._backlog.look_soon()

    def state(self, slot: OwnedSlot, issue: Issue, state: int) -> None:
        slot.messages.note(
            Stated(issue.seq, issue.attempt, state, issue.counted, issue.cause or None)
        )
        self._recorder.touch(slot)


class _Failed:
    """Tells of a ``failed`` status that is on disk."""

    def __init__(self, endings: DoubtEndings, issue: Issue) -> None:
        self._endings = endings
        self._issue = issue

    def ended(self, slot: OwnedSlot, _entry: LaneEntry) -> None:
        self._endings.failed(slot, self._issue)

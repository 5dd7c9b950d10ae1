"""Messages in doubt: what an owner does until evidence or the policy ends them.

A message in doubt leaves the lanes, with what is behind it: it is parked, and its recipient is shut
until the doubt has ended on disk. What is decided is decided in ``flow.doubt``.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable

from msgspec.structs import replace

from warouter.flow.causes import GONE, word_of
from warouter.flow.doubt import Doubt, DoubtRule, DoubtState, DoubtVerdict, verdict
from warouter.flow.issues import Issue
from warouter.flow.lanes import LaneEntry
from warouter.flow.progress import Unissued
from warouter.owner.backlog import Backlog
from warouter.owner.cloud.doubt_endings import EXPIRED, UNKNOWN, DoubtEndings, about
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.proving import Proving
from warouter.owner.cloud.rate.brake import Brake
from warouter.owner.cloud.readings import Readings
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import OpenIssue
from warouter.store.journal.issues import DOUBTED, KEPT, NOT_TAKEN

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
SENT_SECONDS = 5.0  # for which a ``sent`` is waited for, where that is asked for


class Doubts:
    """The messages in doubt of every open slot."""

    def __init__(
        self,
        backlog: Backlog,
        endings: DoubtEndings,
        rules: RuleBook,
        readings: Readings,
        proving: Proving,
        brake: Brake,
        clock: Callable[[], float],
    ) -> None:
        self._backlog = backlog
        self.endings = endings
        self._rules = rules
        self._readings = readings
        self._proving = proving
        self._brake = brake
        self._clock = clock
        self.begun: Counter[str] = Counter()  # by cause
        self.blind = 0

    @property
    def ended(self) -> Counter[str]:  # by what
        return self.endings.counts

    # beginnings

    def opened(self, slot: OwnedSlot) -> None:
        """An owner before this one may have begun these: before anything of the slot is sent."""
        found, slot.found = slot.found, []
        for row in found:
            self._found(slot, row)

    def held_back(self, slot: OwnedSlot, message_id: bytes) -> None:
        """A message that is out was taken, and is held back."""
        if (entry := slot.lanes.entry_out(message_id)) is not None:
            self._rules.was_held(entry.body)

    def begin_doubt(self, slot: OwnedSlot, entry: LaneEntry, cause: str) -> None:
        """Begin a doubt: nobody knows whether the request that is out was taken."""
        issue = slot.issues[entry.id]
        issue.doubt(self._clock(), cause)
        issue.ends = entry.expires if entry.timed else math.inf
        rule_of(self._rules, issue, entry.kind, bytes(entry.body))
        self.endings.state(slot, issue, DOUBTED)
        waiting = slot.lanes.block(entry.recipient)
        if waiting:
            waiting[0] = replace(waiting[0], told=False)
        self._backlog.park(slot, waiting, 0.0, "in doubt")  # its recipient is shut
        slot.messages.parked.shut(entry.recipient, self._clock())
        self._said(slot, issue)

    def left_unknown(self, slot: OwnedSlot, message_id: bytes, attempt: int) -> None:
        """Keep an unknown attempt in mind whose message has ended before."""
        now = self._clock()
        slot.issues.leave(message_id, attempt, now + self._rules.usual, now)

    def unknown(self, slot: OwnedSlot, message_id: bytes) -> frozenset[int]:
        """The attempts of a message that has ended of which something may still be heard."""
        return slot.issues.left(message_id, self._clock())

    def _found(self, slot: OwnedSlot, row: OpenIssue) -> None:
        issue = Issue(row.seq, row.id, row.recipient, row.attempt, row.doubts)
        taken = row.wamid is not None
        if taken or (row.failed and row.state != DOUBTED):  # that it was told so is on disk
            slot.messages.parked.shut(row.recipient, self._clock())
            self.endings.settle(slot, issue)
            slot.messages.note(Unissued(row.seq))
            slot.leave_unheard(issue, row.doubts - taken)
            self.endings.count(slot, issue, "status" if taken else "fail")
            return
        slot.issues[row.id] = issue
        if row.state == NOT_TAKEN and row.body is not None:
            return  # the message comes through its lane, and goes under the next attempt
        issue.since = self._clock() - row.age
        issue.begun = issue.since - self._rules.fence
        rule = rule_of(self._rules, issue, row.kind or 0, row.body or b"")
        if row.ttl is not None:
            issue.ends = self._clock() + row.ttl - (row.message_age or 0.0)
        if row.body is None:
            self._said_gone(slot, issue)
        if row.state == KEPT or issue.gone:
            issue.state = DoubtState.HELD
            self.endings.settle(slot, issue, reopen=False)
            return
        issue.state, issue.cause = DoubtState.DOUBT, row.cause or ""
        issue.saying = issue.said = row.failed  # only its lane is still to be shut
        if _gave_way(slot, row) or rule.goes_on(row.age):
            issue.aside = True
            self.endings.settle(slot, issue, reopen=False)
            return
        slot.messages.parked.shut(row.recipient, self._clock())
        self._said(slot, issue)

    def _said_gone(self, slot: OwnedSlot, issue: Issue) -> None:
        """Hold an issue whose message is not stored any more, which retention never does: an
        operator sees it, and what is heard of it still counts.
        """
        issue.gone, issue.cause = True, GONE
        self.begun[GONE] += 1
        self.endings.state(slot, issue, KEPT)
        log.error("message row gone", extra=about(slot, issue))

    def _said(self, slot: OwnedSlot, issue: Issue) -> None:
        self.begun[word_of(issue.cause)] += 1
        log.info("message doubted", extra=about(slot, issue, cause=issue.cause))

    # the looks

    async def run(self, ownership: Ownership) -> None:
        """Look at every slot again and again. What is parked is looked at elsewhere: that waits for
        the database, and a doubt must not wait for that.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for slot in list(ownership.slots.values()):
                if slot.open and slot.issues:
                    try:
                        self.look_at(slot)
                    except Exception as error:  # an error of this slot; the others go on
                        ownership.tasks.failed(slot.current(), error)

    def look_at(self, slot: OwnedSlot) -> None:
        """Whatever time has decided of the messages in doubt."""
        now = self._clock()
        for issue in slot.issues.unsettled:
            if issue.state is DoubtState.TAKEN:
                if now - issue.since >= SENT_SECONDS:
                    self.endings.proven(slot, issue.id)
            elif issue.state is DoubtState.HELD:
                if now - issue.since >= self._rules.held and not issue.saying:
                    self._end_held(slot, issue)
            elif issue.said:
                self.endings.shut_until_fence(slot, issue, now)
            elif not issue.saying:
                self._decide(slot, issue, now)

    def _decide(self, slot: OwnedSlot, issue: Issue, now: float) -> None:
        rule, waited = _ruled(self._rules, issue), now - issue.since
        over = waited >= max(rule.window, self._rules.fence)
        proven = over and self._proving.proven(issue.since)
        doubt = Doubt(
            issue.counted,
            waited,
            not_taken=issue.not_taken,
            proven=proven,
            drained=self._drained(slot, issue),
            ttl_over=now >= issue.ends,
            in_all=issue.doubts,
        )
        match verdict(doubt, rule, self._rules.fence):
            case DoubtVerdict.WAIT:
                if rule.goes_on(waited) and not issue.aside:
                    self.endings.step_aside(slot, issue)
            case DoubtVerdict.AGAIN:
                self.endings.resend(slot, issue, "answer")
            case DoubtVerdict.DRAIN:
                if issue.drained_after is None:
                    issue.drained_after = self._readings.begun()
            case DoubtVerdict.RESEND:
                if self._brake.may_resend(now) and self.endings.resend(slot, issue):
                    self._brake.resends(issue.id, now)
                    self._note_blind(slot, issue, proven=proven)
            case DoubtVerdict.FAIL:
                self._note_blind(slot, issue, proven=proven or doubt.ttl_over)
                self.endings.fail(slot, issue, EXPIRED if doubt.ttl_over else UNKNOWN, "fail")
            case DoubtVerdict.HOLD:
                self._note_blind(slot, issue, proven=proven)
                self.endings.hold(slot, issue)
                issue.drained_after = None  # the end of that wait has a reading of its own

    def _end_held(self, slot: OwnedSlot, issue: Issue) -> None:
        """End a message that waited too long for an operator, once the inbox has been read."""
        if issue.drained_after is None:
            issue.drained_after = self._readings.begun()
        elif self._drained(slot, issue):
            self.endings.fail(slot, issue, UNKNOWN, "fail")

    def _drained(self, slot: OwnedSlot, issue: Issue) -> bool:
        """A reading of the inbox that began after the window has ended."""
        return (at := issue.drained_after) is not None and self._readings.ended(slot.slot) > at

    def _note_blind(self, slot: OwnedSlot, issue: Issue, *, proven: bool) -> None:
        if not proven:
            self.blind += 1
            log.warning("doubt ended unproven", extra=about(slot, issue, blind=True))

    def asked(self, slot: OwnedSlot, message_id: bytes, word: str) -> bool:
        """An operator's word for a message that is held; False: not now, ask again."""
        issue = slot.issues.get(message_id)
        if issue is None or issue.state is not DoubtState.HELD or issue.saying:
            return True
        if issue.gone and word != "fail":
            return True  # a message that is not stored cannot be sent
        if word == "fail":
            self.endings.fail(slot, issue, UNKNOWN, "operator")
            return True
        return self.endings.resend(slot, issue, "operator")


def rule_of(rules: RuleBook, issue: Issue, kind: int, body: bytes) -> DoubtRule:
    """The rule of a message that is in doubt from now on."""
    issue.rule = rule = rules.of(kind, body)
    issue.ruled = (kind, body) if b'"template"' in body else None
    return rule


def _ruled(rules: RuleBook, issue: Issue) -> DoubtRule:
    """The rule of an issue, by what is known of its template now."""
    if issue.ruled is not None:
        return rule_of(rules, issue, *issue.ruled)
    assert issue.rule is not None
    return issue.rule


def _gave_way(slot: OwnedSlot, row: OpenIssue) -> bool:
    """True if those behind it went on already.

    Perhaps by another rule than that of now: a former owner may have known less of its template.
    """
    return slot.messages.cursor.settled(row.seq) and not row.parked

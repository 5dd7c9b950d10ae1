"""Tells what is heard of messages beside their answers: evidence, words of owners and operators."""

from __future__ import annotations

from collections.abc import Callable

from warouter.flow.doubt.events import (
    EvidenceSeen,
    EvidenceStored,
    FailureReason,
    OperatorAsked,
    ToldNotTaken,
    ToldRefused,
)
from warouter.flow.doubt.states import SAYING
from warouter.flow.progress import Took
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.slot import OwnedSlot


class Hearsay:
    """Passes it on to ``doubts``."""

    def __init__(self, doubts: Doubts, rules: RuleBook, clock: Callable[[], float]) -> None:
        self._doubts = doubts
        self._rules = rules
        self._clock = clock

    def evidence(self, slot: OwnedSlot, took: Took, by: str) -> bool:
        """Take evidence of an attempt: whatever the message's state is, it ends. False: it had."""
        issue = slot.issues.get(bytes.fromhex(took.id))
        if issue is not None:
            self._doubts.tell(slot, issue, EvidenceSeen(took, by))
        return issue is not None

    def proven(self, slot: OwnedSlot, message_id: bytes) -> None:
        """End a message whose evidence is stored already."""
        issue = slot.issues.get(message_id)
        if issue is not None:
            self._doubts.tell(slot, issue, EvidenceStored())

    def heard(
        self, slot: OwnedSlot, message_id: bytes, attempt: int, why: FailureReason | None
    ) -> bool:
        """Take what this attempt's answer was, as a former owner heard, or this one under a former
        epoch: refused for good, if there is a ``why``, else not taken. False: not now, say it
        again.
        """
        issue = slot.issues.get(message_id)
        if issue is None or issue.attempt != attempt:
            return True
        if why is not None:
            self._doubts.tell(slot, issue, ToldRefused(why))
            return self._is_said(slot, message_id)
        rule, free = self._rules.of(issue.treatment), self._doubts.is_free(slot, issue)
        return self._doubts.tell(slot, issue, ToldNotTaken(rule, free))

    def asked(self, slot: OwnedSlot, message_id: bytes, word: str) -> bool:
        """Take an operator's word; False: not now, ask again."""
        issue = slot.issues.get(message_id)
        if issue is None:
            return True
        free, fence = self._doubts.is_free(slot, issue), self._rules.fence
        taken = self._doubts.tell(slot, issue, OperatorAsked(word, free, fence))
        return taken and self._is_said(slot, message_id)

    def _is_said(self, slot: OwnedSlot, message_id: bytes) -> bool:
        """False while the message's ``failed`` is being written: whoever asked for it asks again,
        since the next owner would know of nothing.
        """
        issue = slot.issues.get(message_id)
        return issue is None or issue.state not in SAYING

    def left_unknown(self, slot: OwnedSlot, message_id: bytes, attempt: int) -> None:
        """Keep an unknown attempt in mind whose message has ended before."""
        now = self._clock()
        slot.issues.may_be_heard(message_id, attempt, now + self._rules.usual, now)

    def unheard(self, slot: OwnedSlot, message_id: bytes) -> frozenset[int]:
        """The attempts of a message that has ended of which something may still be heard."""
        return slot.issues.unheard(message_id, self._clock())

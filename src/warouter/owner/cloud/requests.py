"""Requests to the Cloud API, from their issue row to what their answer means for the message."""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import Protocol

from msgspec.structs import replace

from warouter.flow.causes import unclear
from warouter.flow.doubt.events import (
    AnsweredNotTaken,
    AnsweredRefused,
    AnsweredTaken,
    AnsweredUnclear,
    FailureReason,
    RequestBegun,
    RowAsked,
    RowStored,
    RowTakenBack,
)
from warouter.flow.doubt.states import REQUESTED, DoubtState, Issue
from warouter.flow.lanes import LaneEntry
from warouter.flow.progress import Took, Unissued
from warouter.kinds import MEDIA, base_of
from warouter.message_id import text_of
from warouter.owner.cloud.carryover import Carryover
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.hearsay import Hearsay
from warouter.owner.cloud.issuer import Issued, Issuer, Marking
from warouter.owner.cloud.parts import CloudParts
from warouter.owner.sender import SenderParts
from warouter.owner.slot import OwnedSlot
from warouter.upstream.cloud.answers import Class, Judged
from warouter.upstream.cloud.graph.client import Answers, MessagePost
from warouter.upstream.protocol import Answer

log = logging.getLogger(__name__)

READ_AGAIN_MS = 2_000
UPLOAD_AGAIN_MS = 200
AGAIN = 1011  # of a request that never began; nobody sees it


class RequestSender(Protocol):
    """Whoever's messages they are: the sender."""

    def media_gone(self, entry: LaneEntry) -> None:
        """Meta does not know the media of this message any more."""

    def on_answer(self, slot: OwnedSlot, message_id: bytes, answer: Answer) -> None:
        """Take the answer to a read mark."""

    def look_again(self, slot: OwnedSlot) -> None:
        """Look again at a slot of which something may go now."""


class Requests(Answers, Issued):
    """The requests of this process. ``sender`` hears how each ended, ``doubts`` what that means for
    its message.
    """

    def __init__(
        self,
        parts: SenderParts,
        cloud: CloudParts,
        sender: RequestSender,
        doubts: Doubts,
        hearsay: Hearsay,
    ) -> None:
        self._ownership = parts.ownership
        self._recorder = parts.recorder
        self._clock = parts.clock
        self._upstream = cloud.upstream
        self._pace = cloud.pace
        self._rules = cloud.rules
        self._proving = cloud.proving
        self._words = cloud.words
        self._learned = cloud.learned
        self._stop = cloud.stop
        self._acks = cloud.acks
        self._until_sent = cloud.until_sent
        self._sender = sender
        self._doubts = doubts
        self._hearsay = hearsay
        self.carryover = Carryover(cloud.upstream, cloud.pace, self._ended)
        self.issuer = Issuer(parts.ownership, parts.journal, parts.recorder, self)
        self.answers: Counter[str] = Counter()  # by class

    # outwards

    def begin_or_issue(self, slot: OwnedSlot, entry: LaneEntry, body: bytes) -> None:
        """Begin the request of a message that is out, once its issue row is on disk."""
        issue = slot.issues[entry.id]
        again = issue.rows > 0
        marking = Marking(slot, entry, issue.next_attempt, issue.doubts, body, again=again)
        if issue.state is DoubtState.ISSUED:
            self._post(slot, issue, marking)
        else:
            self._doubts.tell(slot, issue, RowAsked())
            self.issuer.mark(marking)

    def mark_read(self, slot: OwnedSlot, entry: LaneEntry, body: bytes) -> None:
        """Read marks need no issue row: they are free to repeat."""
        post = MessagePost(self._pace.of, slot.slot, slot.epoch, entry.id, 0, body)
        self._upstream.post(post, self)

    def out(self, slot: OwnedSlot) -> bool:
        """True while a request of the slot is out or about to be, or its refusal is not on disk."""
        return self.issuer.marking(slot) or slot.issues.out

    def take_back(self, slot: OwnedSlot) -> None:
        """Take back issue rows whose request has not begun, with the next record."""
        for issue in slot.issues.issued:
            self._doubts.tell(slot, issue, RowTakenBack())

    def on_issued(self, slot: OwnedSlot, marking: Marking) -> None:
        entry = marking.entry
        issue = slot.issues.get(entry.id)
        if issue is None or issue.state is not DoubtState.ISSUING:  # ended meanwhile
            slot.messages.note(Unissued(entry.seq, marking.attempt))
            self._recorder.touch(slot)
            return
        self._doubts.tell(slot, issue, RowStored())
        self._post(slot, slot.issues[entry.id], marking)

    def on_proven(self, slot: OwnedSlot, marking: Marking) -> None:
        self._hearsay.proven(slot, marking.entry.id)

    def _post(self, slot: OwnedSlot, issue: Issue, marking: Marking) -> None:
        stopped = self._pace.stopped or issue.number in slot.stopped
        if slot.quiet or stopped or not slot.lanes.is_out(issue.id):
            slot.lanes.retry(issue.id, self._clock())
            self._doubts.tell(slot, issue, RowTakenBack())
            return
        self._doubts.tell(slot, issue, RequestBegun(probing=not self._pace.brake.taken))
        ids = slot.slot, slot.epoch, issue.id, marking.attempt
        post = MessagePost(self._pace.of, *ids, marking.body)
        self._upstream.post(post, self)

    # and back

    def may_begin(self, post: MessagePost) -> bool:
        slot = self._ownership.slots.get(post.slot)
        if slot is None or slot.epoch != post.epoch or slot.quiet or post.number in slot.stopped:
            return False
        return self._ownership.may_act(post.slot) and self._pace.may_begin(post.request)

    def on_judged(self, post: MessagePost, judged: Judged, token_hash: bytes) -> None:
        """A request has ended; its slot may be ours under a later epoch, or another's."""
        slot = self._ownership.slots.get(post.slot)
        issue = slot.issues.get(post.id) if slot is not None else None
        recipient = issue.recipient if issue is not None else None
        proven = slot is not None and slot.epoch == post.epoch and issue is None
        now = self._clock()
        judged = self._pace.heard(judged, recipient, now, post.request, proven=proven)
        if post.attempt:  # a read mark brings no webhook
            self.answers[judged.cls.name.lower()] += 1
        self._learned.note(judged, recipient, post.of)
        if judged.cls is Class.OPERATOR:
            self._stop.stop(judged, token_hash)
        if judged.alarm:
            said = {"code": judged.meta_code, "details": judged.details, **post.of.logged}
            log.error("message refused: the account needs attention", extra=said)
        if post.attempt == 0:
            if slot is not None and slot.epoch == post.epoch:
                self._sender.on_answer(slot, post.id, _of_mark(slot, post, judged))
        elif slot is None or not slot.claimed:
            self._words.say(post, judged)
        else:
            try:
                self._ended(slot, post, judged)
                slot.recent.answered(post.id)
                self._sender.look_again(slot)
            except Exception as error:  # the next epoch finds it in doubt
                self._ownership.tasks.failed(slot.current(), error)

    def on_server_time(self, unix_seconds: int) -> None:
        self._proving.server_said(unix_seconds)

    def _ended(self, slot: OwnedSlot, post: MessagePost, judged: Judged) -> None:
        issue = slot.issues.get(post.id)
        if judged.cls is Class.TAKEN:
            self._taken(slot, issue, post, judged)
        elif issue is None or issue.attempt != post.attempt:  # ended by evidence, or went again
            if judged.cls is Class.DOUBT:
                self._hearsay.left_unknown(slot, post.id, post.attempt)
        elif issue.state in REQUESTED:
            self._ended_out(slot, issue, judged)
        elif judged.cls is not Class.DOUBT:  # handed on from an epoch that has ended
            refused = _failure(judged) if judged.cls is Class.FINAL else None
            self._hearsay.heard(slot, issue.id, issue.attempt, refused)

    def _taken(
        self, slot: OwnedSlot, issue: Issue | None, post: MessagePost, judged: Judged
    ) -> None:
        took = _took(post, judged)
        entry = slot.lanes.entry_out(post.id)
        if judged.held and entry is not None:
            self._rules.was_held(entry.body)
        known = slot.recent.get(post.id)
        told = known is not None and known.wamid == took.wamid  # by a status that came first
        if not told and (issue is None or issue.doubts):  # another attempt may have been taken
            self._acks.prove(slot.slot, took)
        if self._until_sent and issue is not None and issue.state in REQUESTED:
            self._doubts.tell(slot, issue, AnsweredTaken(took))
        else:
            self._hearsay.evidence(slot, took, "answer")

    def _ended_out(self, slot: OwnedSlot, issue: Issue, judged: Judged) -> None:
        entry = slot.lanes.entry_out(issue.id)
        if entry is None:
            return
        if judged.cls is Class.DOUBT:
            said = unclear(judged.details) if judged.details else judged.title
            ends = entry.expires if entry.timed else math.inf
            treatment = self._rules.treatment(entry.kind, entry.body)
            self._doubts.tell(slot, issue, AnsweredUnclear(said or "unclear", treatment, ends))
        elif upload := judged.upload_again and base_of(entry.kind) == MEDIA and not issue.uploads:
            self._sender.media_gone(entry)
            again = replace(judged, cls=Class.NOT_TAKEN, wait_ms=UPLOAD_AGAIN_MS)
            self._again(slot, issue, entry, again, upload=upload)
        elif judged.cls is Class.FINAL:
            self._doubts.tell(slot, issue, AnsweredRefused(_failure(judged)))
        else:
            self._again(slot, issue, entry, judged)

    def _again(
        self,
        slot: OwnedSlot,
        issue: Issue,
        entry: LaneEntry,
        judged: Judged,
        *,
        upload: bool = False,
    ) -> None:
        """The message goes again: it was surely not taken."""
        never_began = judged.cls is Class.NOT_TAKEN and not judged.code
        free = never_began or judged.cls is Class.OPERATOR
        retry_ms = self._pace.again_ms(judged, entry.recipient, entry.attempts)
        answer = replace(_answer(slot, issue.id, judged), retry_ms=retry_ms)
        event = AnsweredNotTaken(free=free, upload=upload)
        self._doubts.tell(slot, issue, event, answer)


def _took(post: MessagePost, judged: Judged) -> Took:
    ids = judged.wamid, judged.wa_id or None, judged.user_id or None
    return Took(0, post.id.hex(), post.attempt, *ids, held=judged.held, number=post.number)


def _failure(judged: Judged) -> FailureReason:
    return FailureReason(judged.code, judged.title, judged.details)


def _answer(slot: OwnedSlot, message_id: bytes, judged: Judged) -> Answer:
    """The judged answer in the native protocol's form, with a code also for what is tried again."""
    code = judged.code or (0 if judged.cls is Class.TAKEN else AGAIN)
    return Answer(slot.slot, text_of(message_id), code, judged.title, judged.details)


def _of_mark(slot: OwnedSlot, post: MessagePost, judged: Judged) -> Answer:
    """The judged answer to a read mark, which is free to repeat."""
    answer = _answer(slot, post.id, judged)
    if judged.cls in (Class.TAKEN, Class.FINAL):
        return answer
    return replace(answer, retry_ms=max(READ_AGAIN_MS, judged.wait_ms))

"""Rows of the inbox, each as what it means: an event for v1, evidence, a word.

Nothing of a message is remembered here but while rows of it are on their way: what was shown of it
is in the journal, and comes with its next row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from warouter.flow.doubt.events import FailureReason
from warouter.flow.progress import Took
from warouter.flow.statuses import FAILED, RANKS, KnownStatuses, show
from warouter.kinds import EVENT_NAMES
from warouter.message_id import slot_of_id, text_of
from warouter.owner.cloud.finds import Finds
from warouter.owner.cloud.hearsay import Hearsay
from warouter.owner.cloud.inbox_words import decode as decode_word
from warouter.owner.slot import OwnedSlot
from warouter.store.journal.inbox import InboxRow
from warouter.upstream.cloud import inbound, statuses
from warouter.upstream.cloud.batch import ERROR, INBOUND, STATUS, WORD
from warouter.upstream.cloud.graph.client import CloudUpstream
from warouter.upstream.cloud.readers import timestamp_of
from warouter.upstream.protocol import Event

ASKED = 4  # the kind of an operator's word, written by say_word

LATE = ("delivered", "read")
LAST = 99  # sorts behind every status
_JUDGED = frozenset((*RANKS, FAILED))  # of which ``show`` says whether v1 hears them
_FAILED = f":{FAILED}:"  # in an event's key
_NOTHING = KnownStatuses()
_NONE = frozenset[int]()


class NotYet(Exception):
    """The row stays in the inbox: what it means depends on something that is still to come."""


class Rows:
    """Reads rows of an open slot: what they prove goes to ``hearsay``, and before that the message
    itself to ``finds``. ``counts`` has what was left out, by kind.
    """

    def __init__(
        self,
        upstream: CloudUpstream,
        hearsay: Hearsay,
        finds: Finds,
        *,
        late_success: bool = False,
        heard: Callable[[bytes, int, str], None] = lambda _id, _attempt, _status: None,
        unreachable: Callable[[int, str, int], None] | None = None,
    ) -> None:
        self._upstream = upstream
        self._hearsay = hearsay
        self._finds = finds
        self._heard = heard  # is told of each status of a reference, maybe more than once
        self._unreachable = unreachable  # told of a number's recipients that were not, and when
        self._late_success = late_success  # a ``delivered`` after a shown ``failed`` is shown
        self._seen: dict[bytes, KnownStatuses] = {}  # of the messages whose rows are on their way
        # The attempts of those, by the number of the row.
        self._flying: defaultdict[bytes, dict[int, int]] = defaultdict(dict)
        self.counts: Counter[str] = Counter()
        self.contradictions = 0
        self.billed: Counter[tuple[str, str]] = Counter()  # messages, by category and type

    def forget(self, row: InboxRow) -> None:
        """The row is deleted: what is read from now on says what was shown of its message."""
        flying = self._flying.get(row.id or b"")
        if flying is None or row.id is None:
            return
        flying.pop(row.n, None)
        if not flying:
            del self._flying[row.id]
            self._seen.pop(row.id, None)

    def is_read(self, message_id: bytes) -> bool:
        """True while rows of a message are on their way."""
        return message_id in self._flying

    def closed(self, slot: int) -> None:
        """Forget what was shown under this epoch: it may not be stored, and is read once more."""
        for message_id in [each for each in self._seen if slot_of_id(each) == slot]:
            del self._seen[message_id]
        for message_id in [each for each in self._flying if slot_of_id(each) == slot]:
            del self._flying[message_id]

    def event(self, slot: OwnedSlot, row: InboxRow, ours: Mapping[str, str]) -> Event | None:
        """The event of one row, None if there is none; raises NotYet."""
        if row.issue is not None:
            self._finds.take(slot, row.issue)
        if row.kind == STATUS:
            event = self._status(slot, row)
            price = statuses.billed(row.payload)
            if price is not None and row.id is not None:
                self.billed[price] += 1
            if event is not None and _FAILED in event.key:
                self._tell_unreachable(row)
            return event
        if row.kind == INBOUND:
            return _inbound(row, ours)
        if row.kind == WORD:
            self._word(slot, row)
        elif row.kind == ERROR:
            place = row.slot, row.n, "inbound", row.key, ""
            return Event(*place, row.payload, of_number=row.number)
        elif row.kind == ASKED:
            self._asked(slot, row)
        return None

    def _asked(self, slot: OwnedSlot, row: InboxRow) -> None:
        if row.id is not None and not self._hearsay.asked(slot, row.id, row.payload.decode()):
            raise NotYet

    def _status(self, slot: OwnedSlot, row: InboxRow) -> Event | None:
        if row.id is not None and row.sent_to is None and row.id in slot.issues:
            issue = slot.issues[row.id]
            row = replace(row, sent_to=issue.recipient, sent_by=issue.number)
        if row.id is None or row.sent_to is None or row.foreign:
            # A status of a restored copy, of another cluster, or of another number: no proof.
            self.counts["foreign"] += 1
            return None
        if slot.issues.fails(row.id) and FAILED not in (row.stored or ()):
            raise NotYet  # it may never be on disk, and this row would be lost with it
        attempt = row.attempt or 1
        if row.attempt is not None:
            self._heard(row.id, row.attempt, status_of(row))
        if row.id in slot.issues and row.wamid is not None and row.attempt is not None:
            took = _took(row, row.attempt, row.wamid, row.recipient)
            self._hearsay.evidence(slot, took, "status")
        name = text_of(row.id)
        told = statuses.to_v1(row.payload, name, row.sent_to)
        if told is None:
            return None
        before, others = self._known(slot, row), _NONE
        if told.status == FAILED:
            before = before._replace(failed=before.failed.union(row.failed or ()))
            others = self._others(slot, row, attempt, before)
        seen, shown = show(before, others | {attempt}, attempt, told.status)
        if seen.contradictions:
            self.contradictions += seen.contradictions
            seen = seen._replace(contradictions=0)
        self._keep(slot, row, seen, attempt)
        if shown is None and told.status in _JUDGED and not self._is_late(seen, told.status):
            self.counts["not shown"] += 1
            return None
        key = f"{name}:{told.status}:{told.timestamp}"
        place = row.slot, row.n, "status", key, row.sent_to
        return Event(*place, told.payload, of_number=row.number)

    def _keep(self, slot: OwnedSlot, row: InboxRow, seen: KnownStatuses, attempt: int) -> None:
        """Keep what was shown of a message: as long as its owner knows it by heart, or until what
        comes next says it.
        """
        assert row.id is not None
        if not slot.recent.shown(row.id, seen):
            self._seen[row.id] = seen
        if row.n > 0:
            self._flying[row.id][row.n] = attempt

    def _tell_unreachable(self, row: InboxRow) -> None:
        """Note a recipient who cannot be reached, by a failure that v1 hears."""
        if self._unreachable is None or row.sent_to is None:
            return
        if statuses.shows_unreachable(row.payload):
            self._unreachable(row.number, row.sent_to, timestamp_of(row.payload))

    def _is_late(self, seen: KnownStatuses, status: str) -> bool:
        """A success after a shown ``failed``, which the settings let v1 hear of."""
        return self._late_success and seen.over and status in LATE

    def _known(self, slot: OwnedSlot, row: InboxRow) -> KnownStatuses:
        assert row.id is not None
        message = slot.recent.get(row.id)
        before = message.seen if message is not None else self._seen.get(row.id, _NOTHING)
        rank, over = before.rank, before.over or slot.issues.fails(row.id)
        for name in row.stored or ():
            rank, over = max(rank, RANKS.get(name, 0)), over or name == FAILED
        if rank == before.rank and over == before.over:
            return before
        return before._replace(rank=rank, over=over)

    def _others(
        self, slot: OwnedSlot, row: InboxRow, attempt: int, seen: KnownStatuses
    ) -> frozenset[int]:
        """The attempts beside the one that failed that may exist, and have not failed; raises
        NotYet while nobody knows if there are any.
        """
        assert row.id is not None
        failed = seen.failed | {attempt}
        taken = self._upstream.attempts_taken(row.id).union(
            row.taken or (), self._flying.get(row.id, {}).values()
        )
        out = self._upstream.attempts_out(row.id)
        unknown = out | self._hearsay.unheard(slot, row.id)
        if taken <= failed and not unknown <= failed and not seen.over:
            raise NotYet
        return (taken | unknown) - failed

    def _word(self, slot: OwnedSlot, row: InboxRow) -> None:
        """Take in what a former owner heard of one attempt."""
        assert row.id is not None
        assert row.attempt is not None
        word = decode_word(row.payload)
        if word.word == "taken" and row.wamid is not None:
            took = _took(row, row.attempt, row.wamid, word.wa_id or None, word.user_id or None)
            self._hearsay.evidence(slot, took, "answer")
            return
        why = FailureReason(word.code, word.title, word.details)
        refused = why if word.word == "refused" else None
        if not self._hearsay.heard(slot, row.id, row.attempt, refused):
            raise NotYet


def order_of(row: InboxRow) -> tuple[bytes, int, int, int]:
    """Statuses of one message by their rank, inbound messages by their time, the rest as it came.

    What Meta repeats after an outage comes in any order.
    """
    rank, sent = LAST, 0
    if row.kind == STATUS:
        rank = RANKS.get(status_of(row), LAST)
    elif row.kind == INBOUND:
        sent = timestamp_of(row.payload)
    return (row.id or b"", rank, sent, row.n)


def status_of(row: InboxRow) -> str:
    """The status that the key of its row names."""
    parts = row.key.rsplit(":", 2)
    return parts[1] if len(parts) == 3 else ""


def _inbound(row: InboxRow, ours: Mapping[str, str]) -> Event | None:
    told = inbound.to_v1(row.payload, row.contact or b"", row.recipient or "", ours)
    if told is None:
        return None
    kind = EVENT_NAMES[told.kind]
    key = told.key or row.key
    place = row.slot, row.n, kind, key, row.recipient or ""
    return Event(*place, told.payload, told.contact, told.media, of_number=row.number)


def _took(
    row: InboxRow, attempt: int, wamid: str, wa_id: str | None, user_id: str | None = None
) -> Took:
    assert row.id is not None
    return Took(0, row.id.hex(), attempt, wamid, wa_id, user_id, number=row.number)

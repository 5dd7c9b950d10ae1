"""Receipts and inbound messages into their journals, acknowledged upstream after the commit only.

A key that is known is a repeat: it is acknowledged and goes no further. What is new is passed to
the feed, in journal order. An event of ours that tells the end of a message is one commit with the
progress that settles it: nobody finds a message that was told as failed and may still be sent. So
is one that no inbox keeps: it may be all that proves that its message was taken.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from warouter.cluster.role import SlotEvent
from warouter.codes import error_object
from warouter.flow.event import EventRow, size_of_all
from warouter.kinds import EVENT_KINDS, EVENT_NAMES
from warouter.log import of_number
from warouter.owner.callbacks.feed import CallbackFeed
from warouter.owner.commit import Gather, GroupCommit
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import APPENDED, FENCED, REFUSED, UNKNOWN, Exceptions, Journal, Outcome
from warouter.upstream.checks import problem
from warouter.upstream.protocol import Acks, Answer, Event

log = logging.getLogger(__name__)

MAX_ROWS = 2_000
# Statuses come in a stream, and a commit costs as much as a hundred of them, a POST even more. One
# that comes after a pause is committed at once; the next ones gather for the rest of this time, or
# until they fill a commit, which at a high rate they do long before.
GATHER = Gather(seconds=0.050, rows=500)
_KINDS = dict(zip(EVENT_NAMES, EVENT_KINDS, strict=True))
OURS = 0  # the number of an event that the upstream does not wait for
MAX_QUEUED = 32 * 1024 * 1024  # bytes of events that are not on disk: then no more are read


class MessageEnd(Protocol):
    """The end of a message, of which an event tells."""

    def settle(self, slot: OwnedSlot) -> None:
        """Settle it in memory: that is recorded in the commit of the event."""


# The upstream's number of an event, for which it waits, or the end that an event of ours tells of.
Origin: TypeAlias = "int | MessageEnd"


class Placed(EventRow, frozen=True, gc=False, kw_only=True):
    """An event of this owner, with where it comes from."""

    owned: OwnedSlot
    origin: Origin


class Receipts(GroupCommit[Placed]):
    """Appends events, acknowledges them, and passes each new one to the feed."""

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        feed: CallbackFeed,
        acks: Acks,
    ) -> None:
        super().__init__(ownership, MAX_ROWS, GATHER)
        self._journal = journal
        self._recorder = recorder
        self._feed = feed
        self._acks = acks
        self.refused = 0

    @property
    def full(self) -> bool:
        """True while so much waits for the disk that the upstream is not listened to."""
        return self._queued_bytes > MAX_QUEUED

    def on_events(self, heard: Iterable[tuple[OwnedSlot, Event]]) -> None:
        """Take events from the upstream. Unacknowledged, they would come again."""
        rows: list[Placed] = []
        for slot, event in heard:
            try:
                if reason := problem(event):
                    self._refuse(slot, event, reason)
                else:
                    rows.append(_placed(slot, event, event.number))
            except Exception as error:
                self._ownership.tasks.failed(slot.current(), error)
        # What comes straight from webhooks has gathered in the webapp.
        self.put(rows, size_of_all(rows), urgent=bool(rows) and _is_of_no_inbox(rows[-1]))

    def store(self, slot: OwnedSlot, event: Event, end: MessageEnd) -> None:
        """Queue an event of our own that tells of this ``end``: it waits for no other."""
        row = _placed(slot, event, end)
        self.put([row], row.size, urgent=True)

    def ack(self, slot: OwnedSlot, numbers: list[int]) -> None:
        """Acknowledge events that are on disk, or will never be read."""
        self._acks.ack(slot.slot, slot.epoch, numbers)

    async def _commit(self, batch: list[Placed]) -> None:
        """Settle what ends here first: once the record that is under way is on disk, as that does
        not have it. A slot that fails in this closes, and its rows are not written.
        """
        if not _recorded(batch):
            await super()._commit(batch)
            return
        async with self._recorder.turn:
            for slot, end in _endings(batch):
                if slot.open:
                    self._settle(slot, end)
            await super()._commit(batch)

    def _settle(self, slot: OwnedSlot, end: MessageEnd) -> None:
        try:
            end.settle(slot)
        except Exception as error:
            self._ownership.tasks.failed(slot.current(), error)

    async def write_batch(self, owned: Mapping[int, int], rows: Sequence[Placed]) -> Exceptions:
        recorded = _recorded(rows)
        if not recorded:
            return await self._journal.append_events(owned, rows)
        record = self._recorder.begins(recorded)
        exceptions, held = await self._journal.append_endings(owned, rows, record.progress)
        self._recorder.on_disk(record, held)
        return exceptions

    def finished(self, batch: list[Placed], exceptions: Exceptions) -> None:
        """Pass on what is new, and acknowledge; one slot's error is that slot's."""
        acks: dict[OwnedSlot, list[int]] = defaultdict(list)
        failed = self._ownership.tasks.failed
        for rows, outcome in _runs(batch, exceptions):
            slot = rows[0].owned
            try:
                self._finish(slot, rows, outcome, acks)
            except Exception as error:
                failed(slot.current(), error)
        for slot, numbers in acks.items():
            try:
                self.ack(slot, numbers)
            except Exception as error:
                failed(slot.current(), error)

    def _finish(
        self,
        slot: OwnedSlot,
        rows: list[Placed],
        outcome: Outcome,
        acks: dict[OwnedSlot, list[int]],
    ) -> None:
        if outcome is FENCED:
            self._ownership.close(slot, SlotEvent.FENCED)
            return
        if outcome is UNKNOWN or not slot.open:
            return
        if outcome is APPENDED:
            self._feed.committed(slot, rows)
        else:
            self._used_up(slot, rows[0], outcome)
        acks[slot] += [row.origin for row in rows if isinstance(row.origin, int)]

    def _refuse(self, slot: OwnedSlot, event: Event, reason: str) -> None:
        """Acknowledged, or it would come again for ever; no business could read it."""
        self.refused += 1
        extra = {"slot": slot.slot, "reason": reason} | of_number(event.of_number)
        log.error("upstream event refused", extra=extra)
        self.ack(slot, [event.number])

    def _used_up(self, slot: OwnedSlot, row: EventRow, outcome: Outcome) -> None:
        """A repeat, or what the database cannot store: its place stays empty."""
        if outcome is REFUSED:
            extra = {"key": row.key, "bytes": len(row.payload)} | of_number(row.number)
            log.error("event storage failed", extra=extra)
            log.debug("event storage failed", extra={"payload": str(row.payload)})
        journal = slot.events[row.kind]
        journal.appended(row.seq)
        journal.settle(row.seq)
        self._recorder.touch(slot)


def _placed(slot: OwnedSlot, event: Event, origin: Origin) -> Placed:
    """The order of the queue is that of the journal: an event has its place from here on."""
    kind = _KINDS[event.kind]
    return Placed(
        slot.slot,
        slot.events[kind].take_seq(),
        kind,
        event.key,
        event.lane,
        event.payload,
        event.contact or None,
        number=event.of_number,
        owned=slot,
        origin=origin,
    )


def _recorded(rows: Iterable[Placed]) -> dict[OwnedSlot, None]:
    """The open slots whose progress is one commit with these."""
    return {row.owned: None for row in rows if row.owned.open and _is_recorded(row)}


def _is_recorded(row: Placed) -> bool:
    """True for an event that tells an end, and for one of no inbox if anything has moved that is
    not on disk.
    """
    if not isinstance(row.origin, int):
        return True
    return _is_of_no_inbox(row) and row.owned.last_record > row.owned.recorded


def _is_of_no_inbox(row: Placed) -> bool:
    """True for an event that came straight from a webhook, which is open until it is on disk."""
    return isinstance(row.origin, int) and row.origin < 0


def _endings(rows: Iterable[Placed]) -> list[tuple[OwnedSlot, MessageEnd]]:
    """The ends that these tell of, in slots whose epoch has not ended."""
    return [
        (row.owned, row.origin)
        for row in rows
        if not isinstance(row.origin, int) and row.owned.open
    ]


def _runs(batch: list[Placed], exceptions: Exceptions) -> Iterable[tuple[list[Placed], Outcome]]:
    """The rows of each slot and kind in order, or one by one if some were not simply appended."""
    if exceptions:
        return [([row], exceptions.get(n, APPENDED)) for n, row in enumerate(batch)]
    runs: dict[tuple[OwnedSlot, int], list[Placed]] = {}
    for row in batch:
        log = row.owned, row.kind
        if log in runs:
            runs[log].append(row)
        else:
            runs[log] = [row]
    return [(rows, APPENDED) for rows in runs.values()]


def failed_status(answer: Answer, recipient: str, now: int, number: int = 1) -> Event:
    """The ``failed`` status that an owner writes when the upstream refuses for good.

    Its key has no time: whoever sends the message again after a crash writes the same event.
    """
    payload = msgspec.json.encode(
        {
            "id": answer.id,
            "recipient_id": recipient,
            "message": {"recipient_id": recipient},
            "type": "message",
            "status": "failed",
            "timestamp": str(now),
            "errors": [error_object(answer.code, answer.title, answer.details)],
        }
    )
    key = f"{answer.id}:failed"
    return Event(answer.slot, OURS, "status", key, recipient, payload, of_number=number)

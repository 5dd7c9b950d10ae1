"""Events into the journal: statuses and inbound messages, acknowledged only once committed.

The same group commit as for messages. A key that is known is a repeat: it is acknowledged and goes
no further.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from warouter.cluster.role import Happened
from warouter.codes import error_object
from warouter.kinds import EVENT_NAMES, STATUS
from warouter.owner.callbacks import CallbackFeed
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import FENCED, INSERTED, REFUSED, EventRow, Journal
from warouter.upstream.checks import problem
from warouter.upstream.protocol import Answer, Event, Upstream

log = logging.getLogger(__name__)

MAX_ROWS = 2_000
# Statuses come in a stream, and a commit costs as much as a hundred of them. One that comes after a
# pause is committed at once; the next ones gather for the rest of this time.
GATHER_SECONDS = 0.010
GATHER_ROWS = 500  # so many wait for nothing
MAX_QUEUED = 32 * 1024 * 1024  # bytes of events that are not on disk: then no more are read

# Kind, key, recipient, payload and contact of an event before it has a place in the journal.
_Parts = tuple[int, str, str, bytes, bytes | None]


class NewEvent(NamedTuple):
    """The same by name, for what the owner itself has to say."""

    kind: int
    key: str
    recipient: str
    payload: bytes
    contact: bytes | None = None


# The slot, the row, and who hears that it is on disk: a callable, or the upstream by a number.
Queued = tuple[OwnedSlot, EventRow, Callable[[], None] | int]


class Receipts:
    """Appends events and passes each new one to the feed, in journal order."""

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        feed: CallbackFeed,
        upstream: Upstream,
    ) -> None:
        self._ownership = ownership
        self._journal = journal
        self._recorder = recorder
        self._feed = feed
        self._upstream = upstream
        self._queue: deque[Queued] = deque()
        self._wake = asyncio.Event()
        self._began = float("-inf")  # the last commit
        self._queued_bytes = 0
        self.appended = 0
        self.refused = 0

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def full(self) -> bool:
        """So much waits for the disk that the upstream is not listened to."""
        return self._queued_bytes > MAX_QUEUED

    def on_event(self, slot: OwnedSlot, event: Event) -> None:
        """One event from the upstream. Unacknowledged, it would come again."""
        if reason := problem(event):
            # Acknowledged, or it would come again for ever; no business could read it.
            self.refused += 1
            log.error("upstream event refused", extra={"slot": slot.slot, "reason": reason})
            self.ack(slot, [event.number])
            return
        kind = EVENT_NAMES.index(event.kind)
        new = (kind, event.key, event.recipient, event.payload, event.contact or None)
        self._put(slot, new, event.number)

    def append(self, slot: OwnedSlot, event: NewEvent, done: Callable[[], None]) -> None:
        """Queue an event of our own; ``done`` is called once it is on disk."""
        self._put(slot, event, done)

    def ack(self, slot: OwnedSlot, numbers: list[int]) -> None:
        """These events are on disk, or will never be read: the upstream need not keep them."""
        self._upstream.ack(slot.slot, slot.epoch, numbers)

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._gather()
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_ROWS))]
                try:
                    await self._commit([item for item in batch if item[0].open])
                finally:
                    self._queued_bytes -= sum(_size(row) for _, row, _ in batch)

    async def _gather(self) -> None:
        clock = asyncio.get_running_loop().time
        rest = self._began + GATHER_SECONDS - clock()
        if rest > 0 and len(self._queue) < GATHER_ROWS:
            await asyncio.sleep(rest)
        self._began = clock()

    def _put(self, slot: OwnedSlot, event: _Parts, told: Callable[[], None] | int) -> None:
        """The order of the queue is that of the journal: an event has its place from here on."""
        journal = slot.events[event[0]]
        row = EventRow(slot.slot, journal.next_seq, *event)
        journal.next_seq += 1
        self._queue.append((slot, row, told))
        self._queued_bytes += _size(row)
        self._wake.set()

    async def _commit(self, batch: list[Queued]) -> None:
        if not batch:
            return
        owned = {slot.slot: slot.epoch for slot, _, _ in batch}
        rows = [row for _, row, _ in batch]
        try:
            outcomes = await self._journal.append_events(owned, rows)
        except Exception as error:
            self._ownership.tasks.failed(owned, error)
            return
        acks: dict[OwnedSlot, list[int]] = {}
        for ordinal, (slot, row, told) in enumerate(batch):
            outcome = outcomes.get(ordinal, INSERTED) if outcomes else INSERTED
            if self._stored(slot, row, told, outcome) and isinstance(told, int):
                acks.setdefault(slot, []).append(told)
        for slot, numbers in acks.items():
            try:
                self.ack(slot, numbers)
            except Exception as error:
                self._ownership.tasks.failed(slot.current(), error)

    def _stored(
        self, slot: OwnedSlot, row: EventRow, told: Callable[[], None] | int, outcome: int
    ) -> bool:
        """Say so to whom it concerns, but for the upstream; False: the slot's epoch is over.

        Whatever goes wrong in it, the rest of the batch goes on.
        """
        try:
            if outcome == FENCED:
                self._ownership.close(slot, Happened.FENCED)
            elif slot.open:
                self._note(slot, row, outcome)
                if not isinstance(told, int):
                    told()
                return True
        except Exception as error:
            self._ownership.tasks.failed(slot.current(), error)
        return False

    def _note(self, slot: OwnedSlot, row: EventRow, outcome: int) -> None:
        if outcome == INSERTED:
            self.appended += 1
            self._feed.committed(slot, row)
            return
        journal = slot.events[row.kind]
        if journal.caught_up:
            journal.loaded = row.seq
        journal.committed = row.seq
        if outcome == REFUSED:
            log.error("event storage failed", extra={"key": row.key, "bytes": len(row.payload)})
            log.debug("event storage failed", extra={"payload": str(row.payload)})
        slot.settle_event(row.kind, row.seq)  # a repeat: its place stays empty
        self._recorder.touch(slot)


def _size(row: EventRow) -> int:
    return len(row.payload) + len(row.contact or b"")


def failed_status(answer: Answer, recipient: str, now: int) -> NewEvent:
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
    return NewEvent(STATUS, f"{answer.id}:failed", recipient, payload)

"""Group commit: while one commit is in flight frames gather, the next one takes them all.

No timer: a single frame waits for nothing, a flood makes batches of up to 2,000 rows or 4 MiB.
An ack leaves only after the commit; one frame a webapp acks all ids of a batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Protocol

from warouter.cluster.role import Happened, State
from warouter.link import wire
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import (
    ALREADY,
    CLASHED,
    FENCED,
    INSERTED,
    KNOWN,
    REFUSED,
    Fate,
    Journal,
    Row,
)
from warouter.store.nodes import Beat

log = logging.getLogger(__name__)

MAX_ROWS = 2_000
MAX_BYTES = 4 << 20
MAX_QUEUED = 20_000
MAX_QUEUED_BYTES = 64 << 20


class Webapp(Protocol):
    """Where an outcome goes: the connection the frame came from, in its version's frames."""

    @property
    def frames(self) -> wire.Frames: ...

    def send(self, frame: bytes) -> None: ...


Queued = tuple[Webapp, wire.Message, OwnedSlot]


class Appender(SlotListener):
    """Takes messages from the link, appends them, acks them, hands them to the sender."""

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        sender: Sender,
    ) -> None:
        self._ownership = ownership
        self._journal = journal
        self._recorder = recorder
        self._sender = sender
        self._queue: deque[Queued] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._early: list[tuple[Webapp, wire.Message]] = []
        self._early_bytes = 0
        self.appended = 0
        self.commits = 0

    @property
    def queued(self) -> int:
        return len(self._queue)

    def on_message(self, webapp: Webapp, frame: wire.Message) -> None:
        """One frame from a webapp, on the loop."""
        slot = self._ownership.slots.get(frame.slot)
        if slot is None or slot.epoch < frame.epoch or slot.state is State.OPENING:
            self._keep_early(webapp, frame)
            return
        if slot.epoch != frame.epoch or not slot.accepts:
            _refuse(webapp, frame, wire.NOT_OWNER)
            return
        if len(self._queue) >= MAX_QUEUED or self._bytes + len(frame.body) > MAX_QUEUED_BYTES:
            _refuse(webapp, frame, wire.OVERLOADED)
            return
        slot.appending += 1
        self._queue.append((webapp, frame, slot))
        self._bytes += len(frame.body)
        self._wake.set()

    def opened(self, slot: OwnedSlot) -> None:
        """Look at the frames that came before their epoch did."""
        early, self._early = self._early, []
        self._early_bytes = 0
        for webapp, frame in early:
            mine = self._ownership.slots.get(frame.slot)
            if mine is not None and mine.epoch >= frame.epoch and mine.state is not State.OPENING:
                self.on_message(webapp, frame)
            else:
                self._keep_early(webapp, frame)

    def idle(self, slot: OwnedSlot) -> bool:
        return slot.appending == 0

    def beaten(self, beat: Beat) -> None:
        """Refuse frames of slots that the beat did not renew: their webapps look up the owner."""
        early, self._early = self._early, []
        self._early_bytes = 0
        for webapp, frame in early:
            if beat.renewed.get(frame.slot, -1) >= frame.epoch:
                self._early.append((webapp, frame))  # ours: it is being opened right now
                self._early_bytes += len(frame.body)
            else:
                _refuse(webapp, frame, wire.NOT_OWNER)

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._commit(self._batch())

    def _keep_early(self, webapp: Webapp, frame: wire.Message) -> None:
        """A webapp may know of our epoch before we do: keep its frame, ask the database now."""
        full = len(self._early) >= MAX_QUEUED or self._early_bytes >= MAX_QUEUED_BYTES
        if full:
            _refuse(webapp, frame, wire.OVERLOADED)
            return
        self._early_bytes += len(frame.body)
        self._early.append((webapp, frame))
        self._ownership.wake()

    def _batch(self) -> list[Queued]:
        batch: list[Queued] = []
        size = 0
        while self._queue and len(batch) < MAX_ROWS and size < MAX_BYTES:
            item = self._queue.popleft()
            size += len(item[1].body)
            batch.append(item)
        self._bytes -= size
        return batch

    async def _commit(self, batch: list[Queued]) -> None:
        # Decided once and by place: one id may stand here twice, under an ended epoch and anew.
        slots = dict.fromkeys(slot for _, _, slot in batch)
        alive, ended = batch, []
        if not all(slot.open for slot in slots):
            alive = [item for item in batch if item[2].open]
            ended = [item for item in batch if not item[2].open]
        owned = {slot.slot: slot.epoch for slot in slots if slot.open}
        rows = [_row(frame, slot) for _, frame, slot in alive]
        try:
            outcomes = await self._journal.append(owned, rows) if rows else {}
        except Exception as error:
            # Never acked: the webapps offer these ids again under the next epoch.
            log.warning(
                "append confirmation failed", extra={"rows": len(rows), "error": str(error)}
            )
            self._finish(ended + alive, [], {})
            self._ownership.tasks.failed(owned, error)
            return
        self.commits += 1
        self.appended += len(rows) - len(outcomes)
        self._finish(alive + ended, rows, outcomes)

    def _finish(self, batch: list[Queued], rows: list[Row], outcomes: dict[int, Fate]) -> None:
        """Acks, one frame per webapp and epoch; inserted rows go on to be sent.

        ``rows`` belong to the first of ``batch``; the rest have none and look for their owner.
        """
        answers: dict[tuple[Webapp, int, int, int], list[bytes]] = {}
        fenced: list[OwnedSlot] = []
        for ordinal, (webapp, frame, slot) in enumerate(batch):
            slot.appending -= 1
            result, first = wire.NOT_OWNER, None
            if ordinal < len(rows):
                outcome = outcomes.get(ordinal, INSERTED) if outcomes else INSERTED
                if isinstance(outcome, bytes):
                    first, outcome = outcome, ALREADY
                result = _RESULTS[outcome]
                try:
                    self._note(slot, rows[ordinal], outcome)
                except Exception as error:  # the row is on disk all the same: the rest is acked
                    self._ownership.tasks.failed(slot.current(), error)
                if outcome == FENCED:
                    fenced.append(slot)
            number = wire.ANY_SLOT if result == wire.ACKED else slot.slot
            ids = answers.setdefault((webapp, result, number, slot.epoch), [])
            ids.append(frame.id)
            if first is not None:
                ids.append(first)
        for (webapp, result, number, epoch), ids in answers.items():
            webapp.send(webapp.frames.outcome(result, number, epoch, ids))
        for slot in fenced:
            self._ownership.close(slot, Happened.FENCED)
        self._sender.pump_moved()
        self._ownership.progressed()

    def _note(self, slot: OwnedSlot, row: Row, outcome: int) -> None:
        """What the outcome means for the slot: its seq is used, or a gap, settled at once."""
        if outcome == FENCED or not slot.open:
            return
        direct = slot.caught_up and slot.has_room
        slot.committed = row.seq
        if direct:
            slot.loaded = row.seq
        if outcome != INSERTED:
            slot.settle(row.seq)
            self._recorder.touch(slot)
        elif direct:
            self._sender.ready(slot, row)
        else:
            self._sender.behind(slot)


_RESULTS = {
    INSERTED: wire.ACKED,
    KNOWN: wire.ACKED,
    FENCED: wire.NOT_OWNER,
    REFUSED: wire.REFUSED,
    ALREADY: wire.ALREADY,
    CLASHED: wire.CLASHED,
}


def _row(frame: wire.Message, slot: OwnedSlot) -> Row:
    seq = slot.next_seq
    slot.next_seq += 1
    return Row(
        slot.slot, seq, frame.id, frame.recipient, frame.kind, frame.body, frame.ttl, frame.key
    )


def _refuse(webapp: Webapp, frame: wire.Message, result: int) -> None:
    webapp.send(webapp.frames.outcome(result, frame.slot, frame.epoch, [frame.id]))

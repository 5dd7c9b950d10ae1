"""Messages from the link into the journal: acked after the commit, then handed to the sender.

An ack leaves only after the commit; one frame a webapp acks all ids of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Protocol

from warouter.cluster.role import SlotEvent, SlotState
from warouter.link import wire
from warouter.link._frames import admit, landed
from warouter.link.listen import MessageOwner
from warouter.owner.commit import Gather, GroupCommit
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.store.beats import Beat
from warouter.store.journal import (
    APPENDED,
    FENCED,
    UNKNOWN,
    Already,
    Exceptions,
    Journal,
    Outcome,
    RowOutcome,
)

MAX_ROWS = 2_000
# Only a flood fills commits of eight rows, and its latency is that of a commit of dozens.
GATHER = Gather(seconds=0.001, rows=500, after=8)
MAX_QUEUED = 20_000
MAX_QUEUED_BYTES = 64 << 20

_RESULTS = {
    RowOutcome.APPENDED: wire.ACKED,
    RowOutcome.KNOWN: wire.ACKED,
    RowOutcome.FENCED: wire.NOT_OWNER,
    RowOutcome.REFUSED: wire.REFUSED,
    RowOutcome.CLASHED: wire.CLASHED,
    RowOutcome.UNKNOWN: wire.NOT_OWNER,  # never acked: it is offered again under the next epoch
}


class FrameOrigin(Protocol):
    """The connection a frame came from: its outcome goes there, in its version's frames."""

    @property
    def frames(self) -> wire.Frames: ...

    def send(self, frame: bytes) -> None: ...


class Appender(GroupCommit[wire.Message], SlotListener, MessageOwner):
    """Takes messages from the link, appends them, acks them, hands them to the sender."""

    def __init__(
        self, ownership: Ownership, journal: Journal, recorder: Recorder, sender: Sender
    ) -> None:
        super().__init__(ownership, MAX_ROWS, GATHER)
        self._journal = journal
        self._recorder = recorder
        self._sender = sender
        self._early: list[tuple[FrameOrigin, wire.Message]] = []
        self._early_bytes = 0
        self._committing: Sequence[wire.Message] = ()

    def on_messages(self, webapp: FrameOrigin, messages: list[wire.Message]) -> None:
        """Take messages from a webapp, on the loop."""
        slots, queue = self._ownership.slots, self._queue
        most, room = MAX_QUEUED - len(queue), MAX_QUEUED_BYTES - self._queued_bytes
        size, others = admit(messages, slots, webapp, queue, most, room)
        self._grown(size)
        for message in others:
            slot = slots.get(message.slot)
            if slot is None or slot.epoch < message.epoch or slot.state is SlotState.OPENING:
                self._keep_early(webapp, message)
            elif slot.epoch != message.epoch or not slot.accepts:
                _refuse(webapp, message, wire.NOT_OWNER)
            else:
                _refuse(webapp, message, wire.OVERLOADED)

    def opened(self, slot: OwnedSlot) -> None:
        """Look at the frames that came before their epoch did."""
        early, self._early = self._early, []
        self._early_bytes = 0
        for webapp, frame in early:
            mine = self._ownership.slots.get(frame.slot)
            if (
                mine is not None
                and mine.epoch >= frame.epoch
                and mine.state is not SlotState.OPENING
            ):
                self.on_messages(webapp, [frame])
            else:
                self._keep_early(webapp, frame)

    def queues(self, slot: OwnedSlot, number: int) -> bool:
        """True if a row of this number and slot waits for its commit, or that is under way."""
        rows = chain(self._committing, self._queue)
        return slot.appending > 0 and any(
            row.owned is slot and row.number == number for row in rows
        )

    def idle(self, slot: OwnedSlot) -> bool:
        return slot.appending == 0

    def beaten(self, beat: Beat) -> None:
        """Refuse frames of slots that the beat did not renew: their webapps look up the owner."""
        early, self._early = self._early, []
        self._early_bytes = 0
        for webapp, frame in early:
            if beat.renewed.get(frame.slot, -1) >= frame.epoch:
                self._early.append((webapp, frame))  # ours: it is being opened right now
                self._early_bytes += frame.size
            else:
                _refuse(webapp, frame, wire.NOT_OWNER)

    async def write_batch(
        self, owned: Mapping[int, int], rows: Sequence[wire.Message]
    ) -> Exceptions:
        self._committing = rows
        if any(self._ownership.slots[slot].consumers.aside for slot in owned):
            _flag(rows)
        chosen = self._sender.reserve(rows)
        if not chosen:
            return await self._journal.append(owned, rows)
        exceptions, issued = await self._journal.append_issued(owned, rows, chosen)
        self._sender.reserved(chosen if issued else ())
        return exceptions

    def finished(self, batch: list[wire.Message], exceptions: Exceptions) -> None:
        """Acks, one frame per webapp and epoch; rows that are new go on to be sent."""
        self._committing = ()
        if exceptions:
            self._finish_each(batch, exceptions)
        else:
            acks, runs = landed(batch)
            for slot, rows in runs.items():
                self._note(slot, rows, APPENDED)
            for (webapp, epoch), ids in acks.items():
                webapp.send(webapp.frames.outcome(wire.ACKED, wire.ANY_SLOT, epoch, ids))
        self._sender.pump_moved()
        self._ownership.progressed()

    def _finish_each(self, batch: list[wire.Message], exceptions: Exceptions) -> None:
        """``finished`` for a batch with rows that were not simply appended."""
        answers: dict[tuple[FrameOrigin, int, int, int], list[bytes]] = {}
        fenced: list[OwnedSlot] = []
        for ordinal, row in enumerate(batch):
            outcome = exceptions.get(ordinal, APPENDED)
            slot, webapp = row.leave()
            self._note(slot, [row], outcome)
            if outcome is FENCED:
                fenced.append(slot)
            result, ids = _answer(row, outcome)
            number = wire.ANY_SLOT if result == wire.ACKED else slot.slot
            answers.setdefault((webapp, result, number, slot.epoch), []).extend(ids)
        for (webapp, result, number, epoch), ids in answers.items():
            webapp.send(webapp.frames.outcome(result, number, epoch, ids))
        for slot in fenced:
            self._ownership.close(slot, SlotEvent.FENCED)

    def _note(self, slot: OwnedSlot, rows: list[wire.Message], outcome: Outcome) -> None:
        """Pass the outcome on to the slot: new rows are sent, the places of others are used up."""
        if outcome is FENCED or outcome is UNKNOWN or not slot.open:
            return
        try:
            if outcome is APPENDED:
                self._sender.committed(slot, rows)
                return
            for row in rows:
                slot.messages.appended(row.seq)
                slot.messages.settle(row.seq)
            self._recorder.touch(slot)
        except Exception as error:  # the rows are on disk all the same: all are answered for
            self._ownership.tasks.failed(slot.current(), error)

    def _keep_early(self, webapp: FrameOrigin, frame: wire.Message) -> None:
        """A webapp may know of our epoch before we do: keep its frame, ask the database now."""
        if len(self._early) >= MAX_QUEUED or self._early_bytes >= MAX_QUEUED_BYTES:
            _refuse(webapp, frame, wire.OVERLOADED)
            return
        self._early_bytes += frame.size
        self._early.append((webapp, frame))
        self._ownership.wake()


def _flag(rows: Sequence[wire.Message]) -> None:
    """Set the flag of each row that its sender may have aside: only so is it found again."""
    for row in rows:
        slot = row.owned
        row.aside = slot.consumers.flags((row.number,), slot.recorded)


def _answer(row: wire.Message, outcome: Outcome) -> tuple[int, list[bytes]]:
    """Return the outcome that the webapp is told, and of which ids."""
    if isinstance(outcome, Already):
        return wire.ALREADY, [row.id, outcome.id]
    return _RESULTS[outcome], [row.id]


def _refuse(webapp: FrameOrigin, frame: wire.Message, result: int) -> None:
    webapp.send(webapp.frames.outcome(result, frame.slot, frame.epoch, [frame.id]))

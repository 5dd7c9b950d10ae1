"""Messages from the link into the journal: acked after the commit, then handed to the sender.

An ack leaves only after the commit; one frame a webapp acks all ids of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from warouter.cluster.role import Happened, State
from warouter.link import wire
from warouter.link.listen import Owner
from warouter.owner.commit import Gather, GroupCommit
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import (
    APPENDED,
    FENCED,
    UNKNOWN,
    Already,
    Exceptions,
    Fate,
    Journal,
    Outcome,
    Row,
)
from warouter.store.nodes import Beat

MAX_ROWS = 2_000
# Only a flood fills commits of eight rows, and its latency is that of a commit of dozens.
GATHER = Gather(seconds=0.001, rows=500, after=8)
MAX_QUEUED = 20_000
MAX_QUEUED_BYTES = 64 << 20

_RESULTS = {
    Fate.APPENDED: wire.ACKED,
    Fate.KNOWN: wire.ACKED,
    Fate.FENCED: wire.NOT_OWNER,
    Fate.REFUSED: wire.REFUSED,
    Fate.CLASHED: wire.CLASHED,
    Fate.UNKNOWN: wire.NOT_OWNER,  # never acked: it is offered again under the next epoch
}


class Webapp(Protocol):
    """The connection a frame came from: its outcome goes there, in its version's frames."""

    @property
    def frames(self) -> wire.Frames: ...

    def send(self, frame: bytes) -> None: ...


class Appender(GroupCommit[Row, Webapp], SlotListener, Owner):
    """Takes messages from the link, appends them, acks them, hands them to the sender."""

    def __init__(
        self, ownership: Ownership, journal: Journal, recorder: Recorder, sender: Sender
    ) -> None:
        super().__init__(ownership, MAX_ROWS, GATHER)
        self._journal = journal
        self._recorder = recorder
        self._sender = sender
        self._early: list[tuple[Webapp, wire.Message]] = []
        self._early_bytes = 0

    def on_message(self, webapp: Webapp, frame: wire.Message) -> None:
        """Take a frame from a webapp, on the loop."""
        slot = self._ownership.slots.get(frame.slot)
        if slot is None or slot.epoch < frame.epoch or slot.state is State.OPENING:
            self._keep_early(webapp, frame)
            return
        if slot.epoch != frame.epoch or not slot.accepts:
            _refuse(webapp, frame, wire.NOT_OWNER)
            return
        size = len(frame.body)
        if len(self._queue) >= MAX_QUEUED or self._queued_bytes + size > MAX_QUEUED_BYTES:
            _refuse(webapp, frame, wire.OVERLOADED)
            return
        slot.appending += 1
        self.put(slot, _row(frame, slot.messages.take_seq()), webapp, size)

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

    async def append(self, owned: Mapping[int, int], rows: Sequence[Row]) -> Exceptions:
        return await self._journal.append(owned, rows)

    def finished(
        self, batch: Sequence[tuple[OwnedSlot, Row, Webapp]], outcomes: Sequence[Outcome]
    ) -> None:
        """Acks, one frame per webapp and epoch; rows that are new go on to be sent."""
        answers: dict[tuple[Webapp, int, int, int], list[bytes]] = {}
        fenced: list[OwnedSlot] = []
        for (slot, row, webapp), outcome in zip(batch, outcomes, strict=True):
            slot.appending -= 1
            try:
                self._note(slot, row, outcome)
            except Exception as error:  # the row is on disk all the same: the rest is acked
                self._ownership.tasks.failed(slot.current(), error)
            if outcome is APPENDED:
                answers.setdefault((webapp, wire.ACKED, wire.ANY_SLOT, slot.epoch), []).append(
                    row.id
                )
                continue
            result, ids = _answer(row, outcome)
            number = wire.ANY_SLOT if result == wire.ACKED else slot.slot
            answers.setdefault((webapp, result, number, slot.epoch), []).extend(ids)
            if outcome is FENCED:
                fenced.append(slot)
        for (webapp, result, number, epoch), ids in answers.items():
            webapp.send(webapp.frames.outcome(result, number, epoch, ids))
        for slot in fenced:
            self._ownership.close(slot, Happened.FENCED)
        self._sender.pump_moved()
        self._ownership.progressed()

    def _note(self, slot: OwnedSlot, row: Row, outcome: Outcome) -> None:
        """Pass the outcome on to the slot: its seq is used, or a gap, settled at once."""
        if outcome is FENCED or outcome is UNKNOWN or not slot.open:
            return
        direct = slot.messages.appended(row.seq)
        if outcome is not APPENDED:
            slot.messages.settle(row.seq)
            self._recorder.touch(slot)
        elif direct:
            self._sender.ready(slot, row)
        else:
            self._sender.behind(slot)

    def _keep_early(self, webapp: Webapp, frame: wire.Message) -> None:
        """A webapp may know of our epoch before we do: keep its frame, ask the database now."""
        if len(self._early) >= MAX_QUEUED or self._early_bytes >= MAX_QUEUED_BYTES:
            _refuse(webapp, frame, wire.OVERLOADED)
            return
        self._early_bytes += len(frame.body)
        self._early.append((webapp, frame))
        self._ownership.wake()


def _row(frame: wire.Message, seq: int) -> Row:
    return Row(
        frame.slot, seq, frame.id, frame.recipient, frame.kind, frame.body, frame.ttl, frame.key
    )


def _answer(row: Row, outcome: Outcome) -> tuple[int, list[bytes]]:
    """Return the outcome that the webapp is told, and of which ids."""
    if isinstance(outcome, Already):
        return wire.ALREADY, [row.id, outcome.id]
    return _RESULTS[outcome], [row.id]


def _refuse(webapp: Webapp, frame: wire.Message, result: int) -> None:
    webapp.send(webapp.frames.outcome(result, frame.slot, frame.epoch, [frame.id]))

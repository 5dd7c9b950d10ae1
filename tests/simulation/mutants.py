"""One mechanism taken out each; a judge counts only when it finds such a run broken.

``run(name, seed)`` simulates the product without that mechanism.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.simulation.patch import patched
from tests.simulation.world import Result
from tests.simulation.world import run as run_whole
from warouter import wire
from warouter.cluster.lanes import Entry, Lanes
from warouter.cluster.lease import Lease
from warouter.cluster.role import Happened
from warouter.owner.appender import Appender
from warouter.owner.ownership import Ownership
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import INSERTED, Row

Changes = list[tuple[Any, str, Any]]


def no_fence() -> Changes:
    """I2: the database takes an owner's writes without asking whether it still is one."""
    return []  # the flag of Tables that is switched off stands in FLAGS


def no_term() -> Changes:
    """I13: the database takes a leader's writes without asking for its term."""
    return []


def no_deadline() -> Changes:
    """I3, I14: a lease that was once given holds for ever."""

    def holds(self: Lease, slot: int, now: float) -> bool:
        return slot in self._deadline

    return [(Lease, "holds", holds), (Lease, "next_deadline", lambda self: None)]


def deadline_from_the_answer() -> Changes:
    """I14: a lease runs from when the beat came back."""
    confirm = Ownership._confirm

    def late(self: Ownership, _sent: float, beat: Any) -> None:
        confirm(self, self._clock(), beat)

    return [(Ownership, "_confirm", late)]


def same_epoch_again() -> Changes:
    """I1, I5: after an unknown commit the owner goes on under the epoch it had."""
    close = Ownership.close

    def forgetful(self: Ownership, slot: OwnedSlot, why: Happened) -> None:
        close(self, slot, why)
        if why is Happened.DOUBTED:
            self._spent.pop(slot.slot, None)

    return [(Ownership, "close", forgetful)]


def new_before_old() -> Changes:
    """I7: what was just committed is sent before what still has to be read from the journal."""
    note = Appender._note

    def hasty(self: Appender, slot: OwnedSlot, row: Row, outcome: int) -> None:
        behind = slot.open and not (slot.caught_up and slot.has_room)
        note(self, slot, row, outcome)
        if behind and outcome == INSERTED:
            self._on_ready(slot, row)

    return [(Appender, "_note", hasty)]


def skipped_backlog() -> Changes:
    """I1, I5: a new epoch sends what is new and never reads what was left."""
    return [(OwnedSlot, "caught_up", property(lambda self: True))]


def ack_before_commit() -> Changes:
    """I1: the webapp hears 201 while the row is still in memory."""
    commit = Appender._commit

    async def early(self: Appender, batch: list[Any]) -> None:
        for webapp, frame, _ in batch:
            webapp.send(wire.outcome(wire.ACKED, frame.slot, frame.epoch, [frame.id]))
        await commit(self, batch)

    return [(Appender, "_commit", early)]


def unblocked_lane() -> Changes:
    """I7: the next message of a recipient does not wait for the one that is to be tried again."""
    retry = Lanes.retry

    def impatient(self: Lanes, message_id: bytes, due: float) -> Entry | None:
        entry = retry(self, message_id, due)
        lane = self._lanes.get(entry.recipient) if entry else None
        if entry and lane and len(lane) > 1:
            lane.rotate(-1)
            self._later = [item for item in self._later if item[1] != entry.seq]
            self._ready.append((lane[0].seq, entry.recipient))
        return entry

    return [(Lanes, "retry", impatient)]


def unbounded_window() -> Changes:
    """I6: any number of messages is sent and not yet recorded as settled."""
    return [(Lanes, "window_full", property(lambda self: False))]


def settled_when_sent() -> Changes:
    """I5: the cursor moves when a message leaves, not when it was answered."""
    pump = Sender.pump

    def eager(self: Sender, slot: OwnedSlot) -> None:
        pump(self, slot)
        for entry in slot.lanes._out.values():
            slot.cursor.settle(entry.seq)
            slot.dirty = True

    return [(Sender, "pump", eager)]


def parked_are_forgotten() -> Changes:
    """I7: a new epoch does not know which recipients are parked."""

    def deaf(self: Sender, slot: OwnedSlot) -> None:
        self._claim(slot)
        self._load(slot)

    return [(Sender, "_on_opened", deaf)]


def event_acked_at_once() -> Changes:
    """I8: the upstream is told that an event is stored when it has only been heard."""
    from warouter.owner.events import EventAppender

    append = EventAppender.append

    def early(self: EventAppender, slot: OwnedSlot, event: Any, done: Callable[[], None]) -> None:
        done()
        append(self, slot, event, lambda: None)

    return [(EventAppender, "append", early)]


def gaps_stay_open() -> Changes:
    """I15: places in the journal that were never used hold the mark for ever."""

    def settle(self: OwnedSlot, seqs: Iterable[int], upto: int) -> None:
        self.loaded = upto

    return [(OwnedSlot, "settle_gaps", settle)]


FLAGS = {no_fence: "fenced", no_term: "termed"}
MUTANTS: dict[str, Callable[[], Changes]] = {
    mutant.__name__: mutant
    for mutant in (
        no_fence,
        no_term,
        no_deadline,
        deadline_from_the_answer,
        same_epoch_again,
        new_before_old,
        skipped_backlog,
        ack_before_commit,
        unblocked_lane,
        unbounded_window,
        settled_when_sent,
        parked_are_forgotten,
        event_acked_at_once,
        gaps_stay_open,
    )
}


def run(name: str, seed: int, seconds: float = 30.0) -> Result:
    """One seed of the product without a mechanism."""
    mutant = MUTANTS[name]
    with patched(mutant()):
        return run_whole(seed, seconds, lose=FLAGS.get(mutant, ""))

"""One mechanism taken out each; a judge counts only when it finds such a run broken.

``run(name, seed)`` simulates the product without that mechanism.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.campaigns.simulation.faults import Faults, Kind, Plan
from tests.campaigns.simulation.nemeses import (
    REFUSED_PLAN,
    SLOW_PLAN,
    SLOW_SECONDS,
    break_words,
    lose_answers,
    step_database_clock,
)
from tests.campaigns.simulation.patch import patched
from tests.campaigns.simulation.world import Result
from tests.campaigns.simulation.world import run as run_whole
from warouter.cluster.lease import Lease
from warouter.cluster.role import Happened
from warouter.flow.lanes import Entry, Lanes
from warouter.link import wire
from warouter.node.master import Master
from warouter.owner.appender import Appender
from warouter.owner.beats import Beats
from warouter.owner.callbacks import CallbackFeed
from warouter.owner.hearing import UpstreamListener
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.owner.writable import Writable
from warouter.store import election
from warouter.store.journal import INSERTED, Journal, Row
from warouter.upstream.protocol import Event

Changes = list[tuple[Any, str, Any]]


def no_fence() -> Changes:
    """I2: the database takes an owner's writes without asking whether it still is one."""
    return []


def no_deadline() -> Changes:
    """I3, I14: who owned a slot once acts for it until it hears otherwise."""
    return [
        (Lease, "next_deadline", lambda self: None),
        (Ownership, "may_act", lambda self, slot: slot in self.slots),
        (Ownership, "all_hold", lambda self: True),
    ]


def deadline_from_the_answer() -> Changes:
    """I14: a lease runs from when the beat came back."""
    confirm = Beats._confirm

    def late(self: Beats, _sent: float, beat: Any) -> None:
        confirm(self, self._clock(), beat)

    return [(Beats, "_confirm", late)]


def same_epoch_again() -> Changes:
    """I1, I5: after an unknown commit the owner goes on under the epoch it had."""
    close = Ownership.close

    def forgetful(self: Ownership, slot: OwnedSlot, why: Happened) -> None:
        close(self, slot, why)
        if why is Happened.DOUBTED:
            self.standings[slot.slot].spent = -1

    return [(Ownership, "close", forgetful)]


def new_before_old() -> Changes:
    """I7: what was just committed is sent before what still has to be read from the journal."""
    note = Appender._note

    def hasty(self: Appender, slot: OwnedSlot, row: Row, outcome: int) -> None:
        behind = slot.open and not (slot.caught_up and slot.has_room)
        note(self, slot, row, outcome)
        if behind and outcome == INSERTED:
            self._sender.ready(slot, row)

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
        self._load(slot)

    return [(Sender, "opened", deaf)]


def parked_beyond_the_page_are_free() -> Changes:
    """I7: who is parked and not in memory is sent to as if nothing of it waited."""

    async def nobody(self: Journal, *_asked: Any) -> list[Any]:
        return []

    return [(Journal, "parked_among", nobody)]


def event_acked_at_once() -> Changes:
    """I8: the upstream is told that an event is stored when it has only been heard."""
    on_event = Receipts.on_event

    def early(self: Receipts, slot: OwnedSlot, event: Event) -> None:
        self.ack(slot, [event.number])
        on_event(self, slot, event)

    return [(Receipts, "on_event", early)]


def letters_in_the_dark() -> Changes:
    """I10: dead letters are moved to the parked ones, and nobody looks there."""
    return [(CallbackFeed, "_revive", lambda self, *lane: None)]


def no_term() -> Changes:
    """I13: who led once leads on, and the database takes a leader's writes unasked."""
    return [(Master, "_still_leads", lambda self, picture, started: True)]


def given_up_and_begun() -> Changes:
    """I12: a leader begins the change of shards that it saw, whoever has given it up since."""
    return []


def keys_are_not_looked_at() -> Changes:
    """I11: each request is a message of its own."""
    append = Journal._append_once

    async def blind(self: Journal, owned: Any, rows: list[Row]) -> Any:
        return await append(self, owned, [row._replace(key=None) for row in rows])

    return [(Journal, "_append_once", blind)]


def who_cannot_write_keeps_its_slots() -> Changes:
    """I15: an owner that beats and cannot write its journals says that all is well."""
    return [(Writable, "ok", lambda self: True)]


def a_leader_waits_for_a_second() -> Changes:
    """I15: what commits more slowly than that counts as unknown, and nobody can lead."""
    return [(election, "WRITE_SECONDS", 1.0)]


def times_of_the_database_are_believed() -> Changes:
    """I5, I15: how long something waits is asked of a clock that may have gone back since."""
    return []


def an_answer_is_waited_for() -> Changes:
    """I1, I15: what was sent and has no answer is not asked for again."""
    return [(Lanes, "unanswered", lambda self: [])]


def what_cannot_be_read_comes_again() -> Changes:
    """I15: an event that does not decode is logged, and the upstream is not told so."""
    return [(UpstreamListener, "on_broken", lambda self, broken: None)]


class Mutant(NamedTuple):
    """What is taken out, and the faults against which it stood."""

    changes: Callable[[], Changes]
    threats: tuple[Kind, ...]
    first: int = 0  # a seed that found it once: where to begin to look
    flag: str = ""  # of Tables, switched off
    plan: Plan = ()  # instead of drawn faults, with the product's own limits
    seconds: float = 30.0


_LONG = (Faults.busy_cut, Faults.busy_cut, Faults.pause_coreapp, Faults.kill_coreapp)
_DOUBT = (Faults.late_statement, Faults.unknown_outcome)
MUTANTS: dict[str, Mutant] = {
    mutant.changes.__name__: mutant
    for mutant in (
        Mutant(no_fence, (*_LONG, *_DOUBT), 1, "fenced"),
        Mutant(no_deadline, _LONG, 1),
        Mutant(deadline_from_the_answer, (Faults.busy_cut, Faults.slow_link), 31),
        Mutant(same_epoch_again, (Faults.late_statement,), 34),
        Mutant(new_before_old, (*_LONG, *_DOUBT), 17),
        Mutant(skipped_backlog, (*_LONG, *_DOUBT), 31),
        Mutant(ack_before_commit, _LONG),
        Mutant(unblocked_lane, (Faults.throttle, Faults.busy_cut), 3),
        Mutant(unbounded_window, (Faults.disconnect_upstream, Faults.slow_link, *_DOUBT[:1]), 85),
        Mutant(settled_when_sent, (*_LONG, Faults.throttle, Faults.kill_coreapp), 19),
        Mutant(parked_are_forgotten, (Faults.busy_cut, Faults.throttle, Faults.kill_coreapp), 6),
        Mutant(
            parked_beyond_the_page_are_free,
            (Faults.busy_cut, Faults.throttle, Faults.kill_coreapp),
            14,
        ),
        Mutant(event_acked_at_once, _LONG, 1),
        Mutant(letters_in_the_dark, (Faults.replay_letters,)),
        Mutant(given_up_and_begun, (Faults.give_up_shards, Faults.slow_link), 5, "asked_still"),
        Mutant(keys_are_not_looked_at, _LONG),
        Mutant(no_term, (Faults.pause_master, Faults.kill_coreapp, Faults.set_shards), 6, "termed"),
        Mutant(who_cannot_write_keeps_its_slots, (), plan=REFUSED_PLAN),
        Mutant(a_leader_waits_for_a_second, (), 1, plan=SLOW_PLAN, seconds=SLOW_SECONDS),
        Mutant(times_of_the_database_are_believed, (step_database_clock,), flag="aged"),
        Mutant(an_answer_is_waited_for, (lose_answers,)),
        Mutant(what_cannot_be_read_comes_again, (break_words,)),
    )
}


def run(name: str, seed: int) -> Result:
    """One seed of the product without a mechanism."""
    mutant = MUTANTS[name]
    with patched(mutant.changes()):
        return run_whole(
            seed,
            mutant.seconds,
            lose=mutant.flag,
            kinds=mutant.threats,
            plan=mutant.plan,
            small=not mutant.plan,
        )

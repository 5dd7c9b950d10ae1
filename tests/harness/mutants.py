"""One mechanism taken out each: a judge counts only when it finds the product without it broken.

One table for the simulation, which patches itself, and for processes: ``python mutants.py NAME
coreapp`` runs a coreapp without the mechanism. It imports nothing of the tests.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver

from warouter.cli import main
from warouter.cluster.lease import Lease
from warouter.cluster.role import Happened
from warouter.flow.lanes import Entry, Lanes
from warouter.flow.log import SlotLog
from warouter.http.door import Connections
from warouter.link import wire
from warouter.net.acceptor import Acceptor
from warouter.net.names import Names
from warouter.node.master import Master
from warouter.owner.appender import Appender
from warouter.owner.backlog import Backlog
from warouter.owner.beats import Beats
from warouter.owner.callbacks.letters import Letters
from warouter.owner.commit import GroupCommit
from warouter.owner.hearing import UpstreamListener
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.owner.writable import Writable
from warouter.store import election
from warouter.store.election import LeaderSession
from warouter.store.journal import APPENDED, Outcome, Row
from warouter.store.journal.messages import Messages
from warouter.store.journal.parked import ParkedRows
from warouter.upstream.protocol import Event

Changes = list[tuple[Any, str, Any]]
# Seconds from an ack that is too early to its commit: in a process, long enough that a kill falls
# into it.
early_by = 0.0


def no_fence() -> Changes:
    """I2: the database takes an owner's writes without asking whether it still is one (that is for
    the scenario to do), and the leader lets the sessions of dead owners live on.
    """

    async def nothing(self: LeaderSession, dead: Any) -> None:
        return

    return [(LeaderSession, "end_sessions", nothing)]


def no_deadline() -> Changes:
    """I3, I14: who owned a slot once acts for it until it hears otherwise."""
    return [
        (Lease, "next_deadline", lambda self: None),
        (Lease, "lapsed", lambda self, now: []),
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

    def hasty(self: Appender, slot: OwnedSlot, row: Row, outcome: Outcome) -> None:
        behind = slot.open and not (slot.messages.caught_up and slot.messages.has_room)
        note(self, slot, row, outcome)
        if behind and outcome is APPENDED:
            self._sender.ready(slot, row)

    return [(Appender, "_note", hasty)]


def skipped_backlog() -> Changes:
    """I1, I5: a new epoch sends what is new and never reads what was left."""
    return [(SlotLog, "caught_up", property(lambda self: True))]


def ack_before_commit() -> Changes:
    """I1: the webapp hears 201 while the row is still in memory."""
    commit = GroupCommit._commit

    async def early(self: GroupCommit[Any, Any], batch: list[Any]) -> None:
        if isinstance(self, Appender):
            for slot, row, webapp in batch:
                webapp.send(webapp.frames.outcome(wire.ACKED, slot.slot, slot.epoch, [row.id]))
            if early_by:
                await asyncio.sleep(early_by)
        await commit(self, batch)

    return [(GroupCommit, "_commit", early)]


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
            slot.messages.cursor.settle(entry.seq)
            slot.messages.dirty = True

    return [(Sender, "pump", eager)]


def parked_are_forgotten() -> Changes:
    """I7: a new epoch does not know which recipients are parked."""

    def deaf(self: Backlog, slot: OwnedSlot) -> None:
        self.pager.read_on(slot)

    return [(Backlog, "opened", deaf)]


def parked_beyond_the_page_are_free() -> Changes:
    """I7: who is parked and not in memory is sent to as if nothing of it waited."""

    async def nobody(self: ParkedRows, *_asked: Any) -> list[Any]:
        return []

    return [(ParkedRows, "parked_among", nobody)]


def event_acked_at_once() -> Changes:
    """I8: the upstream is told that an event is stored when it has only been heard."""
    on_event, commit = Receipts.on_event, GroupCommit._commit

    def early(self: Receipts, slot: OwnedSlot, event: Event) -> None:
        self.ack(slot, [event.number])
        on_event(self, slot, event)

    async def slow(self: GroupCommit[Any, Any], batch: list[Any]) -> None:
        if isinstance(self, Receipts):
            await asyncio.sleep(early_by)
        await commit(self, batch)

    slowed: Changes = [(GroupCommit, "_commit", slow)] if early_by else []
    return [(Receipts, "on_event", early), *slowed]


def letters_in_the_dark() -> Changes:
    """I10: dead letters are moved to the parked ones, and nobody looks there."""
    return [(Letters, "_revive", lambda self, *lane: None)]


def no_term() -> Changes:
    """I13: who led once leads on, and the database takes a leader's writes unasked."""
    return [(Master, "_still_leads", lambda self, picture, started: True)]


def given_up_and_begun() -> Changes:
    """I12: a leader begins the change of shards that it saw, whoever has given it up since."""
    return []


def keys_are_not_looked_at() -> Changes:
    """I11: each request is a message of its own."""
    append = Messages._append_once

    async def blind(self: Messages, owned: Any, rows: list[Row]) -> Any:
        return await append(self, owned, [row._replace(key=None) for row in rows])

    return [(Messages, "_append_once", blind)]


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


def backlog_comes_later() -> Changes:
    """I7: a new owner sends what is new at once, and what its predecessor left a little later."""
    opened = Backlog.opened

    async def backlog(self: Backlog, slot: OwnedSlot, after: int, upto: int) -> None:
        await asyncio.sleep(0.3)
        while slot.open and after < upto:
            rows = await self._journal.page(slot.slot, after, upto, 500, 1 << 20)
            for row in rows:
                if not slot.messages.cursor.settled(row.seq):
                    self.take(slot, row)
            after = rows[-1].seq if len(rows) == 500 else upto
        self.paged(slot)

    def impatient(self: Backlog, slot: OwnedSlot) -> None:
        log = slot.messages
        after, log.loaded = log.loaded, log.committed
        opened(self, slot)
        self._tasks.begin(slot, backlog(self, slot, after, log.committed))

    return [(Backlog, "opened", impatient)]


def queue_is_reset() -> Changes:
    """I19: a listening socket is closed over the connections that wait in it."""
    return [(Acceptor, "_take_queued", lambda self: None)]


def leave_at_once() -> Changes:
    """I19: connections are closed without a word, whoever is about to ask something."""

    async def none_is_left(self: Connections, within: float) -> bool:
        return True

    return [(Connections, "ended", none_is_left)]


def one_resolver() -> Changes:
    """I15: names that clients chose are looked up where the loop looks up its database."""

    def of(self: Names, asker: object) -> AbstractResolver:
        return ThreadedResolver()

    return [(Names, "of", of)]


class Mutant(NamedTuple):
    """What is taken out, the invariants of which it must break one first, and how it is simulated.

    ``threats`` are the faults against which the mechanism stood (``simulation.kinds``), or
    ``plan`` is what is done (``simulation.nemeses``), with the product's own limits; without
    either it shows in processes only. ``first`` is a seed that found it once: where to begin to
    look. ``flag`` is one of the simulation's ``Tables``, switched off.
    """

    changes: Callable[[], Changes]
    breaks: tuple[str, ...]
    threats: tuple[str, ...] = ()
    first: int = 0
    flag: str = ""
    plan: str = ""


_LONG = ("busy_cut", "busy_cut", "pause_coreapp", "kill_coreapp")
_DOUBT = ("late_statement", "unknown_outcome")
_WINDOW = ("disconnect_upstream", "slow_link", "late_statement")
_PARKED = ("busy_cut", "throttle", "kill_coreapp")
_TERM = ("pause_master", "kill_coreapp", "set_shards")
_SHARDS = ("give_up_shards", "slow_link")
_DEADLINE = ("I3", "I12", "I14")
_CLOCK = ("step_database_clock",)
MUTANTS: dict[str, Mutant] = {
    mutant.changes.__name__: mutant
    for mutant in (
        Mutant(no_fence, ("I2",), (*_LONG, *_DOUBT), 1, "fenced"),
        Mutant(no_deadline, _DEADLINE, _LONG, 1),
        Mutant(deadline_from_the_answer, _DEADLINE, ("busy_cut", "slow_link"), 31),
        Mutant(same_epoch_again, ("I1", "I5"), ("late_statement",), 34),
        Mutant(new_before_old, ("I7", "I6"), (*_LONG, *_DOUBT), 17),
        Mutant(skipped_backlog, ("I1", "I5", "I7"), (*_LONG, *_DOUBT), 31),
        Mutant(ack_before_commit, ("I1",), _LONG),
        Mutant(unblocked_lane, ("I7",), ("throttle", "busy_cut"), 3),
        Mutant(unbounded_window, ("I6",), _WINDOW, 85),
        Mutant(settled_when_sent, ("I1", "I5"), (*_LONG, "throttle", "kill_coreapp"), 19),
        Mutant(parked_are_forgotten, ("I7",), _PARKED, 6),
        Mutant(parked_beyond_the_page_are_free, ("I7",), _PARKED, 14),
        Mutant(event_acked_at_once, ("I8",), _LONG, 1),
        Mutant(letters_in_the_dark, ("I10", "I15"), ("replay_letters",)),
        Mutant(keys_are_not_looked_at, ("I11",), _LONG),
        Mutant(given_up_and_begun, ("I12",), _SHARDS, 5, "asked_still"),
        Mutant(no_term, ("I13",), _TERM, 6, "termed"),
        Mutant(who_cannot_write_keeps_its_slots, ("I1", "I5", "I15"), plan="REFUSED_PLAN"),
        Mutant(a_leader_waits_for_a_second, ("I5", "I12", "I15"), (), 1, plan="SLOW_PLAN"),
        Mutant(times_of_the_database_are_believed, ("I1", "I5", "I15"), _CLOCK, flag="aged"),
        Mutant(an_answer_is_waited_for, ("I1", "I15"), ("lose_answers",)),
        Mutant(what_cannot_be_read_comes_again, ("I15",), ("break_words",)),
        Mutant(backlog_comes_later, ("I7",)),
        Mutant(queue_is_reset, ("I19",)),
        Mutant(leave_at_once, ("I19",)),
        Mutant(one_resolver, ("I15",)),
    )
}


def program(name: str) -> tuple[str, ...]:
    """What a process runs, before its role, to lack this mechanism."""
    assert name in MUTANTS
    return __file__, name


if __name__ == "__main__":
    early_by = 0.25
    for where, attribute, value in MUTANTS[sys.argv.pop(1)].changes():
        setattr(where, attribute, value)
    main()

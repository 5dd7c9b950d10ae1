"""One mechanism taken out each: a judge counts only when it finds the product without it broken.

One table for the simulation, which patches itself, and for processes: ``python mutants.py NAME
coreapp`` runs a coreapp without the mechanism. It imports nothing of the tests.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable, Sequence
from functools import partialmethod
from typing import Any, NamedTuple

from aiohttp import ThreadedResolver

from warouter.cli import main
from warouter.cluster import plan
from warouter.cluster.lease import Lease
from warouter.cluster.patience import Patience
from warouter.cluster.role import SlotEvent
from warouter.flow.doubt import verdict
from warouter.flow.lanes import LaneEntry, Lanes
from warouter.flow.log import SlotLog
from warouter.http.door import FrontDoor
from warouter.link import wire
from warouter.net.acceptor import Acceptor
from warouter.net.names import HostLookups
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
from warouter.store.journal import Stretch
from warouter.store.journal.messages import Messages
from warouter.store.journal.parked import ParkedRows
from warouter.upstream.protocol import Event

Changes = list[tuple[Any, str, Any]]
# Seconds from an ack that is too early to its commit: in a process, long enough that a kill falls
# into it.
early_by = 0.0


class Mutant(NamedTuple):
    """What is taken out, the invariants of which it must break one first, and how it is simulated.

    ``threats`` are the faults against which the mechanism stood (``simulation.kinds``), or
    ``plan`` is what is done (``simulation.nemeses``), with the product's own limits; without
    either it shows in processes only. ``flag`` is one of the simulation's ``Tables``, switched
    off. The seeds that find them are in ``simulation/seeds.json``.
    """

    changes: Changes
    breaks: tuple[str, ...]
    threats: tuple[str, ...] = ()
    flag: str = ""
    plan: str = ""


_LONG = ("busy_cut", "busy_cut", "pause_coreapp", "kill_coreapp")
_DOUBT = ("late_statement", "unknown_outcome")
_WINDOW = ("busy_cut", "freeze_upstream", "late_statement")
_PARKED = ("busy_cut", "throttle", "kill_coreapp")
_TERM = ("pause_master", "kill_coreapp", "set_shards")
_SHARDS = ("give_up_shards", "slow_link")
_DEADLINE = ("I3", "I12", "I14")
_CLOCK = ("step_database_clock",)


async def _nothing(self: object, *_: object) -> None:
    """In the place of what does something."""


async def _yes(self: object, *_: object) -> bool:
    return True


async def _nobody(self: object, *_: object) -> list[Any]:
    return []


# Those that need no function of their own.
MUTANTS = {
    # The database takes an owner's writes without asking whether it still is one (that is for the
    # scenario to do), and the leader lets the sessions of dead owners live on.
    "no_fence": Mutant(
        [(LeaderSession, "end_sessions", _nothing)], ("I2",), (*_LONG, *_DOUBT), "fenced"
    ),
    # Who owned a slot once acts for it until it hears otherwise.
    "no_deadline": Mutant(
        [
            (Lease, "next_deadline", lambda self: None),
            (Lease, "lapsed", lambda self, now: []),
            (Ownership, "may_act", lambda self, slot: slot in self.slots),
            (Ownership, "all_hold", lambda self: True),
        ],
        _DEADLINE,
        _LONG,
    ),
    # A new epoch sends what is new and never reads what was left.
    "skipped_backlog": Mutant(
        [(SlotLog, "caught_up", property(lambda self: True))], ("I1", "I5", "I7"), (*_LONG, *_DOUBT)
    ),
    # Any number of messages is sent and not yet recorded as settled.
    "unbounded_window": Mutant(
        [(Lanes, "window_full", property(lambda self: False))], ("I6",), _WINDOW
    ),
    # A new epoch does not know which recipients are parked.
    "parked_are_forgotten": Mutant(
        [(Backlog, "opened", lambda self, slot: self.pager.read_on(slot))], ("I7",), _PARKED
    ),
    # Who is parked and not in memory is sent to as if nothing of it waited.
    "parked_beyond_the_page_are_free": Mutant(
        [(ParkedRows, "parked_among", _nobody)], ("I7",), _PARKED
    ),
    # Dead letters are moved to the parked ones, and nobody looks there.
    "letters_in_the_dark": Mutant(
        [(Letters, "_revive", lambda self, *lane: None)], ("I10", "I15"), ("replay_letters",)
    ),
    # Who led once leads on, and the database takes a leader's writes unasked.
    "no_term": Mutant(
        [(Master, "_still_leads", lambda self, picture, started: True)],
        ("I13",),
        _TERM,
        "termed",
    ),
    # A leader begins the change of shards that it saw, whoever has given it up since.
    "given_up_and_begun": Mutant([], ("I12",), _SHARDS, "asked_still"),
    # An owner that beats and cannot write its journals says that all is well.
    "who_cannot_write_keeps_its_slots": Mutant(
        [(Writable, "ok", lambda self: True)], ("I1", "I5", "I15"), plan="REFUSED_PLAN"
    ),
    # What commits more slowly than a second counts as unknown, ever again, and nobody can lead.
    "a_leader_waits_for_a_second": Mutant(
        [(election, "WRITE_SECONDS", 1.0), (Patience, "ran_out", lambda self: None)],
        ("I5", "I12", "I15"),
        plan="SLOW_PLAN",
    ),
    # Whoever holds the lock is taken for the dead leader, also who is about to succeed it.
    "masters_depose_each_other": Mutant(
        [(Master, "_rivals", lambda self: set())], ("I15",), plan="SLOW_RESTARTED_PLAN"
    ),
    # A message in doubt is sent again at once: evidence is on its way.
    "cloud_waits_for_no_evidence": Mutant([(verdict, "over_at", lambda *_: -math.inf)], ("I6",)),
    # A slot moves while its requests are out.
    "cloud_slots_move_at_once": Mutant([(plan, "not_quiet", lambda *_, **__: False)], ("I12",)),
    # How long something waits is asked of a clock that may have gone back since.
    "times_of_the_database_are_believed": Mutant([], ("I1", "I5", "I15"), _CLOCK, flag="aged"),
    # What was sent and has no answer is not asked for again.
    "an_answer_is_waited_for": Mutant(
        [(Lanes, "unanswered", lambda self: [])], ("I1", "I15"), ("lose_answers",)
    ),
    # An event that does not decode is logged, and the upstream is not told so.
    "what_cannot_be_read_comes_again": Mutant(
        [(UpstreamListener, "on_broken", lambda self, broken: None)], ("I15",), ("break_words",)
    ),
    # A listening socket is closed over the connections that wait in it.
    "queue_is_reset": Mutant([(Acceptor, "_take_queued", lambda self: None)], ("I19",)),
    # Connections are closed without a word, whoever is about to ask something.
    "leave_at_once": Mutant([(FrontDoor, "ended", _yes)], ("I19",)),
    # Names that clients chose are looked up where the loop looks up its database.
    "one_resolver": Mutant([(HostLookups, "of", lambda self, asker: ThreadedResolver())], ("I15",)),
}


def _instead(
    of: tuple[Any, str],
    breaks: tuple[str, ...],
    threats: tuple[str, ...] = (),
    also: Changes | None = None,
) -> Callable[[Callable[..., Any]], None]:
    """A mutant: the function in the place of a method, which it gets behind ``self``."""
    where, name = of

    def enter(change: Callable[..., Any]) -> None:
        method = partialmethod(change, vars(where)[name])
        MUTANTS[change.__name__] = Mutant([(where, name, method), *(also or [])], breaks, threats)

    return enter


@_instead((Beats, "_confirm"), _DEADLINE, ("busy_cut", "slow_link"))
def deadline_from_the_answer(self: Beats, confirm: Any, _sent: float, beat: Any) -> None:
    """A lease runs from when the beat came back."""
    confirm(self, self._clock(), beat)


@_instead((Ownership, "close"), ("I1", "I5"), ("late_statement",))
def same_epoch_again(self: Ownership, close: Any, slot: OwnedSlot, why: SlotEvent) -> None:
    """After an unknown commit the owner goes on under the epoch it had."""
    close(self, slot, why)
    if why is SlotEvent.DOUBTED:
        self.standings[slot.slot].spent = -1


@_instead((Backlog, "add"), ("I7", "I6"), (*_LONG, *_DOUBT))
def new_before_old(
    self: Backlog, add: Any, slot: OwnedSlot, rows: Any, issued: Any = ()
) -> list[LaneEntry]:
    """What was just committed is sent before what still has to be read from the journal."""
    for row in rows:
        loaded = slot.messages.loaded
        add(self, slot, [row])
        if slot.messages.loaded == loaded:
            self._push(slot, LaneEntry(row.seq, row.id, row.lane, row.kind, row.body))
    return []


@_instead((GroupCommit, "_commit"), ("I1",), _LONG)
async def ack_before_commit(self: GroupCommit[Any], commit: Any, batch: list[Any]) -> None:
    """The webapp hears 201 while the row is still in memory."""
    if isinstance(self, Appender):
        for row in batch:
            frame = row.origin.frames.outcome(wire.ACKED, row.slot, row.epoch, [row.id])
            row.origin.send(frame)
        if early_by:
            await asyncio.sleep(early_by)
    await commit(self, batch)


@_instead((Lanes, "retry"), ("I7",), ("throttle", "busy_cut"))
def unblocked_lane(self: Lanes, retry: Any, message_id: bytes, due: float) -> LaneEntry | None:
    """The next message of a recipient does not wait for the one that is to be tried again."""
    entry: LaneEntry | None = retry(self, message_id, due)
    lane = self._lanes.get(entry.lane) if entry else None
    if entry and lane and len(lane) > 1:
        lane.append(lane.pop(0))
        self._later = [item for item in self._later if item[1] != entry.seq]
        self._ready.append((lane[0].seq, entry.lane))
    return entry


@_instead((Sender, "pump"), ("I1", "I5"), (*_LONG, "throttle", "kill_coreapp"))
def settled_when_sent(self: Sender, pump: Any, slot: OwnedSlot) -> None:
    """The cursor moves when a message leaves, not when it was answered."""
    pump(self, slot)
    for entry in slot.lanes._out.values():
        slot.messages.cursor.settle(entry.seq)
        slot.messages.dirty = True


async def _slow(self: GroupCommit[Any], batch: list[Any]) -> None:
    if early_by and isinstance(self, Receipts):
        await asyncio.sleep(early_by)
    await _commit(self, batch)


_commit = GroupCommit._commit


@_instead((Receipts, "on_events"), ("I8",), _LONG, [(GroupCommit, "_commit", _slow)])
def event_acked_at_once(
    self: Receipts, on_events: Any, heard: Sequence[tuple[OwnedSlot, Event]]
) -> None:
    """The upstream is told that an event is stored when it has only been heard."""
    for slot, event in heard:
        self.ack(slot, [event.number])
    on_events(self, heard)


@_instead((Receipts, "_used_up"), ("I8",), ("busy_cut", "disconnect_upstream", "kill_coreapp"))
def repeats_are_called_back(
    self: Receipts, _used_up: Any, slot: OwnedSlot, row: Any, *_: Any
) -> None:
    """What the upstream gives again, since it heard no ack, is called back again."""
    self._feed.committed(slot, [row])


@_instead((Messages, "_append_once"), ("I11",), _LONG)
async def keys_are_not_looked_at(self: Messages, append: Any, owned: Any, rows: list[Any]) -> Any:
    """Each request is a message of its own."""
    bare = [
        wire.Message(m.slot, m.epoch, m.id, m.kind, m.recipient, m.body, m.ttl, seq=m.seq)
        for m in rows
    ]
    return await append(self, owned, bare)


@_instead((Backlog, "opened"), ("I7",))
def backlog_comes_later(self: Backlog, opened: Any, slot: OwnedSlot) -> None:
    """A new owner sends what is new at once, and what its predecessor left a little later."""

    async def backlog(after: int, upto: int) -> None:
        await asyncio.sleep(0.3)
        while slot.open and after < upto:
            stretch = Stretch(slot.slot, after, upto)
            rows = (await self._journal.pages([stretch], 500, 1 << 20))[slot.slot]
            for row in rows:
                if not slot.messages.cursor.settled(row.seq):
                    self.take(slot, row)
            after = rows[-1].seq if len(rows) == 500 else upto
        self.paged(slot)

    log = slot.messages
    after, log.loaded = log.loaded, log.committed
    opened(self, slot)
    self._tasks.begin_task(slot, backlog(after, log.committed))


def program(name: str) -> tuple[str, ...]:
    """What a process runs, before its role, to lack this mechanism."""
    assert name in MUTANTS
    return __file__, name


if __name__ == "__main__":
    early_by = 0.25
    for where, attribute, value in MUTANTS[sys.argv.pop(1)].changes:
        setattr(where, attribute, value)
    main()

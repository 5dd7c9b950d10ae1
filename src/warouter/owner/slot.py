"""One slot under one epoch, in the memory of its owner.

Everything here is thrown away when the epoch ends; the next owner (or this one, under a new epoch)
reads the journal again. Up to ``loaded`` messages come from the journal, later ones from memory;
when memory is full, ``loaded`` stays behind ``committed`` and pages are read in seq order.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from enum import Enum
from typing import Any

from warouter.cluster.role import Happened, State, step
from warouter.flow.cursor import Cursor
from warouter.flow.lanes import Lanes
from warouter.flow.parking import Parked, ParkedLane
from warouter.store.journal import Opened

# Of messages a slot, and of its events of a kind; what is beyond either is read from the journal.
# One process may own all 32 slots.
MAX_IN_MEMORY = 2_000
MAX_EVENTS_IN_MEMORY = 2_000
MAX_BYTES_IN_MEMORY = 2 << 20


class Claiming(Enum):
    """How far the claim of a slot is, on the present connection to the upstream."""

    NO = "no"
    ASKED = "asked"
    GRANTED = "granted"


class OwnedSlot:
    """State of one (slot, epoch). ``state`` only moves along cluster.role."""

    def __init__(self, slot: int, epoch: int) -> None:
        self.slot = slot
        self.epoch = epoch
        self.state = State.OPENING
        self.open = True  # its epoch has not ended
        self.accepts = False
        self.opened_at = -math.inf  # the sender's seconds
        self.claim = Claiming.NO
        self.claimed_at = -math.inf  # when it was asked for, by the owner's clock
        self.look_due = -math.inf  # the next look at what the upstream has not answered

        self.lanes = Lanes()
        self.cursor = Cursor()
        self.next_seq = 1
        self.committed = 0  # highest seq known to be on disk
        self.loaded = 0  # highest seq that is, or was, in memory
        self.loading = False
        self.appending = 0  # frames in the appender that belong to this slot
        self.parked = Parked()
        self.timer: asyncio.TimerHandle | None = None  # for the next retry

        self.events = (EventLog(), EventLog())  # by kind: statuses, inbound messages

        self.dirty = False  # a cursor moved since it was recorded
        self.unrecorded: list[int] = []  # settled in memory, not yet in the database
        self.rare: dict[str, list[dict[str, Any]]] = {}
        self.records = 0  # how often it was recorded, or is being recorded
        self.recorded = 0  # the number of the last record that is on disk

    def happened(self, what: Happened) -> None:
        self.state = step(self.state, what)
        self.open = self.state is not State.CLOSED
        self.accepts = self.state is State.ACTIVE

    @property
    def claimed(self) -> bool:
        """The upstream takes messages of this epoch."""
        return self.claim is Claiming.GRANTED

    def current(self) -> dict[int, int]:
        """This epoch, by its slot."""
        return {self.slot: self.epoch}

    def opened(self, journal: Opened) -> None:
        """The journal's positions, read after the epoch's first commit."""
        self.cursor = Cursor(journal.send_mark, journal.send_ranges)
        self.next_seq = journal.next_seq
        self.committed = journal.next_seq - 1
        self.loaded = journal.send_mark
        self.events[0].opened(journal.status_mark, journal.status_ranges, journal.next_status_seq)
        self.events[1].opened(
            journal.inbound_mark, journal.inbound_ranges, journal.next_inbound_seq
        )

    @property
    def caught_up(self) -> bool:
        """Everything on disk is, or was, in memory: the next commit may go straight there.

        Unless its recipient may be parked beyond what is in memory: then it is looked for first.
        """
        return self.loaded >= self.committed and not self.loading and not self.parked.beyond

    @property
    def has_room(self) -> bool:
        return self.lanes.waiting < MAX_IN_MEMORY and self.lanes.bytes < MAX_BYTES_IN_MEMORY

    @property
    def half_empty(self) -> bool:
        """There is room for a page worth reading."""
        lanes = self.lanes
        return lanes.waiting < MAX_IN_MEMORY // 2 and lanes.bytes < MAX_BYTES_IN_MEMORY // 2

    def settle(self, seq: int) -> None:
        """A message needs no more sending: taken, failed for good, or parked."""
        self.cursor.settle(seq)
        self.unrecorded.append(seq)
        self.dirty = True

    def settle_event(self, kind: int, seq: int) -> None:
        """An event needs no more delivering: delivered, not wanted, or parked."""
        self.events[kind].cursor.settle(seq)
        self.dirty = True

    def settle_gaps(self, seqs: Iterable[int], upto: int) -> None:
        """A page of the journal held ``seqs`` of what follows ``loaded``: the rest was never used.

        The one writer commits in seq order, so up to ``committed`` a seq has a row or never will.
        """
        self.dirty = _settle_gaps(self.cursor, self.loaded, seqs, upto) or self.dirty
        self.loaded = upto

    def settle_event_gaps(self, kind: int, seqs: Iterable[int], upto: int) -> None:
        """As ``settle_gaps``, for one kind of events."""
        journal = self.events[kind]
        self.dirty = _settle_gaps(journal.cursor, journal.loaded, seqs, upto) or self.dirty
        journal.loaded = upto

    def note_parked(self, lane: ParkedLane, what: str, **row: Any) -> None:
        """Something rare of a parked recipient: it stays in memory until that is recorded."""
        lane.noted = self.records + 1
        self.note(what, **row)

    def note(self, what: str, **row: Any) -> None:
        """Something rare for the next record: see store.journal.Progress."""
        self.rare.setdefault(what, []).append({"slot": self.slot, **row})
        self.dirty = True


def _settle_gaps(cursor: Cursor, after: int, seqs: Iterable[int], upto: int) -> bool:
    found = False
    for seq in (*seqs, upto + 1):
        if seq > after + 1:
            cursor.settle_range(after + 1, seq - 1)
            found = True
        after = seq
    return found


class EventLog:
    """One kind of events of a slot: positions, and the recipients that are parked."""

    __slots__ = (
        *("committed", "cursor", "held", "held_bytes", "loaded", "loading", "next_seq", "parked"),
    )

    def __init__(self) -> None:
        self.cursor = Cursor()
        self.next_seq = 1
        self.committed = 0
        self.loaded = 0
        self.loading = False
        self.held = 0  # events of this journal that the webhook delivery has
        self.held_bytes = 0
        self.parked = Parked()

    def opened(self, mark: int, ranges: list[int], next_seq: int) -> None:
        self.cursor = Cursor(mark, ranges)
        self.next_seq = next_seq
        self.committed = next_seq - 1
        self.loaded = mark

    def hold(self, size: int) -> None:
        """The delivery has one more, of so many bytes."""
        self.held += 1
        self.held_bytes += size

    def let_go(self, size: int) -> None:
        self.held -= 1
        self.held_bytes -= size

    @property
    def caught_up(self) -> bool:
        return self.loaded >= self.committed and not self.loading and not self.parked.beyond

    @property
    def has_room(self) -> bool:
        return self.held < MAX_EVENTS_IN_MEMORY and self.held_bytes < MAX_BYTES_IN_MEMORY

    @property
    def half_empty(self) -> bool:
        """There is room for a page worth reading."""
        held, size = self.held, self.held_bytes
        return held < MAX_EVENTS_IN_MEMORY // 2 and size < MAX_BYTES_IN_MEMORY // 2

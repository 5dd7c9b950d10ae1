"""One slot under one epoch, in the memory of its owner.

Everything here is thrown away when the epoch ends; the next owner (or this one, under a new epoch)
reads the journal again. Up to ``loaded`` messages come from the journal, later ones from memory;
when memory is full, ``loaded`` stays behind ``committed`` and pages are read in seq order.
"""

from __future__ import annotations

import asyncio
import math
from enum import Enum

from warouter.cluster.role import SlotEvent, SlotState, step
from warouter.flow.consumers import Consumers
from warouter.flow.issues import Issues
from warouter.flow.lanes import Lanes
from warouter.flow.log import Memory, SlotLog
from warouter.flow.recent import RecentMessages
from warouter.link.wire import Gate
from warouter.store.journal import Opened

# Limits for one slot; rows beyond them are read back from the journal. One process may own all 32
# slots.
MAX_IN_MEMORY = 2_000
MAX_EVENTS_IN_MEMORY = 2_000
MAX_BYTES_IN_MEMORY = 2 << 20


class Claiming(Enum):
    """How far the claim of a slot is, on the present connection to the upstream."""

    NO = "no"
    ASKED = "asked"
    GRANTED = "granted"


GRANTED = Claiming.GRANTED  # asked for each event: without the class in half the time


class OwnedSlot(Gate):
    """State of one (slot, epoch). ``state`` only moves along cluster.role."""

    def __init__(self, slot: int, epoch: int) -> None:
        self.lanes = Lanes()
        self.messages: SlotLog = SlotLog(self.lanes, MAX_IN_MEMORY, MAX_BYTES_IN_MEMORY)
        super().__init__(slot, epoch, self.messages)
        # A consumer of messages is a number's sender, and has its id.
        self.consumers = Consumers(self.messages)
        self.stopped: frozenset[int] = frozenset()  # numbers of which no request begins
        self.state = SlotState.OPENING
        self.open = True  # its epoch has not ended
        self.opened_at = -math.inf  # the sender's seconds
        self.claim = Claiming.NO
        self.claimed_at = -math.inf  # when it was asked for, by the owner's clock
        self.look_due = -math.inf  # the next look at what the upstream has not answered
        self.quiet = False  # it is to move: it accepts, but no request begins
        self.ahead: set[int] = set()  # seqs beyond what is loaded that are in memory all the same
        self.issues = Issues()  # requests that may be out, or may have been taken
        self.recent = RecentMessages()

        self.delivered = (Memory(), Memory())  # events that the delivery has, by kind
        of_statuses, of_inbound = self.delivered
        self.statuses = SlotLog(of_statuses, MAX_EVENTS_IN_MEMORY, MAX_BYTES_IN_MEMORY)
        self.inbound = SlotLog(of_inbound, MAX_EVENTS_IN_MEMORY, MAX_BYTES_IN_MEMORY)
        self.events = (self.statuses, self.inbound)  # by kind
        self.logs = (self.messages, *self.events)
        self.timer: asyncio.TimerHandle | None = None  # for the next retry

        self.records = 0  # how often it was recorded, or is being recorded
        self.recorded = 0  # the number of the last record that is on disk

    def happened(self, what: SlotEvent) -> None:
        self.state = step(self.state, what)
        self.open = self.state is not SlotState.CLOSED
        self.accepts = self.state is SlotState.ACTIVE

    @property
    def claimed(self) -> bool:
        """The upstream takes messages of this epoch."""
        return self.claim is GRANTED

    def current(self) -> dict[int, int]:
        """The epoch, keyed by its slot."""
        return {self.slot: self.epoch}

    def opened(self, journal: Opened) -> None:
        """The journal's positions, read after the epoch's first commit."""
        self.messages.opened(journal.send_mark, journal.send_ranges, journal.next_seq)
        self.statuses.opened(journal.status_mark, journal.status_ranges, journal.next_status_seq)
        self.inbound.opened(journal.inbound_mark, journal.inbound_ranges, journal.next_inbound_seq)
        self.consumers.opened(journal.aside.get(0, ()))

    def takes(self, number: int, seq: int) -> bool:
        """True if the number's sender takes this row of it in FLOW."""
        return not self.consumers.aside or self.consumers.in_flow(number, seq)

    def settle(self, number: int, seq: int) -> None:
        """A row of this number needs no more work: it is settled where it belongs."""
        if self.takes(number, seq):
            self.messages.settle(seq)
        else:
            self.consumers.ended(number, seq)
            self.messages.release(seq)

    @property
    def dirty(self) -> bool:
        """True if something moved since it was recorded."""
        return any(log.dirty for log in self.logs)

    @property
    def next_record(self) -> int:
        """The number of the record that has what is noted now."""
        return self.records + 1

    @property
    def last_record(self) -> int:
        """The number of the record that has all that was noted so far."""
        return self.records + self.dirty

"""One log of a slot in its owner's memory: which seqs are given, on disk, in memory and settled.

A slot has three: its messages, its statuses, its inbound messages. Pure. Rules of this file:
  * up to ``loaded`` a row is, or was, in memory; from there to ``committed`` it is only on disk and
    has to be read back, in seq order, when there is room;
  * a row that was just committed goes on from memory only if nothing before it has to be read;
  * a seq that was used up without a row is a gap and is settled, or the mark would wait for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from warouter.flow.cursor import Cursor
from warouter.flow.parking import Parking
from warouter.flow.progress import Change, LogProgress


class LogMemory(Protocol):
    """The part of a log that is in memory: the lanes of messages, or ``Memory``."""

    waiting: int
    bytes: int


class Memory:
    """A count of rows in memory that lie with somebody else."""

    __slots__ = ("bytes", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        self.bytes = 0

    def hold(self, rows: int, size: int) -> None:
        """Count so many more rows, of so many bytes in all."""
        self.waiting += rows
        self.bytes += size

    def let_go(self, rows: int, size: int) -> None:
        self.waiting -= rows
        self.bytes -= size


class SlotLog:
    """Positions of one log; ``held`` may be ``most`` rows and ``most_bytes`` bytes."""

    __slots__ = (
        "_most",
        "_most_bytes",
        "changes",
        "committed",
        "cursor",
        "dirty",
        "held",
        "loaded",
        "loading",
        "next_seq",
        "parked",
        "unrecorded",
    )

    def __init__(self, held: LogMemory, most: int, most_bytes: int) -> None:
        self.held = held
        self._most = most
        self._most_bytes = most_bytes
        self.cursor = Cursor()
        self.next_seq = 1
        self.committed = 0  # the highest seq that is known to be on disk
        self.loaded = 0  # the highest seq that is, or was, in memory
        self.loading = False  # a read of the next page is under way
        self.parked = Parking()
        self.dirty = False  # the cursor moved since it was recorded
        self.unrecorded: list[int] = []  # settled in memory and not in the database
        self.changes: list[Change] = []  # for the next record

    def opened(self, mark: int, ranges: list[int], next_seq: int) -> None:
        """Take over where the journal stood when the epoch began."""
        self.cursor = Cursor(mark, ranges)
        self.next_seq = next_seq
        self.committed = next_seq - 1
        self.loaded = mark

    def take_seq(self) -> int:
        """The place of the next row."""
        seq = self.next_seq
        self.next_seq = seq + 1
        return seq

    @property
    def behind(self) -> bool:
        """True if something on disk has never been in memory."""
        return self.loaded < self.committed

    @property
    def caught_up(self) -> bool:
        """Everything on disk is, or was, in memory: the next commit may go straight there.

        Unless its recipient may be parked beyond what is in memory: then it is looked for first.
        """
        return self.loaded >= self.committed and not self.loading and not self.parked.beyond

    @property
    def has_room(self) -> bool:
        held = self.held
        return held.waiting < self._most and held.bytes < self._most_bytes

    @property
    def half_empty(self) -> bool:
        """There is room for a page worth reading."""
        held = self.held
        return held.waiting < self._most // 2 and held.bytes < self._most_bytes // 2

    def appended(self, seq: int, *, wanted: bool = True) -> bool:
        """Note that a seq is on disk. True: its row goes on from memory if ``wanted`` there."""
        direct = wanted and self.caught_up and self.has_room
        self.committed = seq
        if direct:
            self.loaded = seq
        return direct

    def appended_run(self, last: int, rows: int, size: int) -> bool:
        """Note that so many rows, up to ``last``, are on disk, if there is room for all of them.

        False, and nothing is noted, if one of them might not go on from memory.
        """
        held = self.held
        room = held.waiting + rows <= self._most and held.bytes + size < self._most_bytes
        if room and self.caught_up:
            self.committed = self.loaded = last
            return True
        return False

    def settle(self, seq: int) -> None:
        """A row needs no more work: it arrived, was refused for good, or is parked."""
        self.cursor.settle(seq)
        self.unrecorded.append(seq)
        self.dirty = True

    def pass_over(self, seq: int) -> None:
        """A row belongs aside: the cursor covers it, and nothing of it was, or is, out here."""
        self.cursor.settle(seq)
        self.dirty = True

    def settle_all(self, seqs: list[int]) -> None:
        """Settle rows in any order."""
        if seqs:
            self.cursor.settle_all(seqs)
            self.unrecorded += seqs
            self.dirty = True

    def settle_gaps(self, seqs: Iterable[int], upto: int) -> None:
        """A page of the journal held ``seqs`` of what follows ``loaded``: the rest was never used.

        The one writer commits in seq order, so up to ``committed`` a seq has a row or never will.
        """
        after = self.loaded
        for seq in (*seqs, upto + 1):
            if seq > after + 1:
                self.cursor.settle_range(after + 1, seq - 1)
                self.dirty = True
            after = seq
        self.loaded = upto

    def note(self, change: Change) -> None:
        """Keep a change for the next record."""
        self.changes.append(change)
        self.dirty = True

    def release(self, seq: int) -> None:
        """A parked row needs no more of the window, once the next record is on disk."""
        self.unrecorded.append(seq)
        self.dirty = True

    def record_begins(self) -> tuple[LogProgress, list[int]]:
        """Return what is to be recorded now, and the seqs that are recorded as settled with it."""
        progress = LogProgress(self.cursor.mark, self.cursor.flat, self.changes)
        settled, self.unrecorded, self.changes, self.dirty = self.unrecorded, [], [], False
        return progress, settled

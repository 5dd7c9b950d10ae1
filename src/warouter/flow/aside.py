"""A consumer that is aside in one log of a slot: its own rows, and how far they are settled.

A *consumer* takes the rows of its number: the number's sender takes its messages, a destination its
events. One that cannot keep up goes aside, with a position of its own; nobody waits for it. Pure.
Rules of this file:
  * what is on disk says whose a row is. A consumer takes in FLOW those up to ``base``, those in
    ``flow`` and those beyond ``upto``: the slot's cursor covers them once it has ended with them.
    Every other row belongs aside to it: the cursor passes over that, and ``mark`` and ``ranges``
    say if it is settled;
  * ``flow`` and ``ranges`` are two lists. If what is settled aside counted as taken in FLOW, the
    slot's own pager would send it again when it comes there;
  * up to ``since`` its rows are found by their number. Each one that is given later has the flag
    ``aside``, by which it is found; the flag ends only when ``upto`` is on disk;
  * it is read once the slot's own pager has come up to ``since``: a row that was out as its
    consumer went aside, which a successor takes in FLOW once more, is then in its lane first;
  * ``since`` and ``upto`` may be seqs that were given and never committed. No epoch gives them
    again (``next_seq``): nobody would look for a new row there;
  * a consumer that was leaving when its owner died enters again at once. Else its later rows, taken
    in FLOW, would be in their lanes before those that it has still to read.

``flow.consumers`` has all consumers of a log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from warouter.flow.cursor import Cursor

MAX_ASIDE_RANGES = 512  # of each of the two lists
PAGE_ROWS = 50


class AsideReason(IntEnum):
    """The reason for which a consumer went aside, as it is stored."""

    STOPPED = 1
    BEHIND = 2
    DOWN = 3
    SLOW = 4
    PAUSED = 5
    REPLAY = 6


class AsideRow(NamedTuple):
    """The row of a consumer that is aside, as it is stored for its slot and log.

    ``flow`` and ``ranges`` are flat: from, to, from, to ... ``upto`` is None while there is no end.
    """

    consumer: int
    number: int
    base: int
    since: int
    upto: int | None
    flow: list[int]
    mark: int
    ranges: list[int]
    why: AsideReason


class AsideStretch(NamedTuple):
    """The next part of a log to be read for a consumer: ``after`` < seq <= ``upto``.

    Rows of its number, at most ``limit`` of them; if ``flagged`` only those with the flag.
    """

    after: int
    upto: int
    flagged: bool
    limit: int


class Entering(NamedTuple):
    """A log as a consumer goes aside: the last seq that was given, what the slot's cursor covers,
    and of the consumer's own rows those that are ``out`` and those that it alone has ended with.
    """

    last: int
    cursor: Cursor
    out: Collection[int] = ()
    ended: Collection[int] = ()


class Aside:
    """The position of one consumer, under one epoch.

    ``record`` and ``recorded`` are numbers of records of the slot: the one that will have what is
    done now, and the last one that is on disk.
    """

    __slots__ = (
        "_ended_by",
        "consumer",
        "dirty",
        "flow",
        "held",
        "number",
        "own",
        "position",
        "since",
        "upto",
        "why",
    )

    def __init__(self, row: AsideRow) -> None:
        self.consumer, self.number, self.why = row.consumer, row.number, row.why
        self.since, self.upto = row.since, row.upto
        self.flow = Cursor(row.base, row.flow)  # what it takes in FLOW
        self.own = Cursor(row.mark, row.ranges)  # what is settled of all else
        self.position = row.mark  # how far its rows have been read
        self.held: set[int] = set()  # rows of its own that are in memory, waiting or out
        self.dirty = True  # moved since it was recorded
        self._ended_by = 0  # the record that has ``upto``

    @classmethod
    def entered(
        cls, consumer: int, number: int, why: AsideReason, lowest: int, of: Entering
    ) -> Aside:
        """Go aside. ``lowest``: nothing of it waits, in memory or on disk, below this seq."""
        base = min(lowest - 1, of.last)
        aside = cls(AsideRow(consumer, number, base, of.last, None, [], base, [], why))
        aside._leave_in_flow(base, of)
        aside._keep_within_bounds()
        return aside

    @classmethod
    def opened(cls, row: AsideRow, last: int, cursor: Cursor) -> Aside:
        """Take over, with the slot's cursor as it is on disk; ``last`` lies below ``next_seq``."""
        aside = cls(row)
        aside.dirty = False
        if row.upto is not None:
            aside.enter_again(row.why, Entering(last, cursor))
        return aside

    def may_enter_again(self, of: Entering) -> bool:
        """True if it is leaving, and the lists have room for what it took in FLOW meanwhile."""
        own = self.own.ranges + of.cursor.ranges + len(of.ended)
        most = max(own, self.flow.ranges + len(of.out))
        return self.upto is not None and most < MAX_ASIDE_RANGES

    def enter_again(self, why: AsideReason, of: Entering) -> None:
        """Have no end any more: what waits of the rows beyond the old one belongs aside as well.

        Rows of its own that are out stay so; the others leave memory, and are read again.
        """
        assert self.upto is not None
        self._leave_in_flow(self.upto, of)
        self.since, self.upto, self.why = of.last, None, why
        self.position = self.own.mark
        self.held.intersection_update(of.out)
        self.dirty = True

    def put_back(self, why: AsideReason, out: Collection[int]) -> None:
        """Stop before there is an end: what waits leaves memory, to be read again."""
        assert self.upto is None
        self.why, self.position = why, self.own.mark
        self.held.intersection_update(out)
        self.dirty = True

    def in_flow(self, seq: int) -> bool:
        """True if the consumer takes this row of its number in FLOW."""
        return (self.upto is not None and seq > self.upto) or self.flow.settled(seq)

    def flags(self, recorded: int) -> bool:
        """True if a row that is given now needs the flag."""
        return self.upto is None or recorded < self._ended_by

    # reading

    def stretch(self, loaded: int, committed: int) -> AsideStretch | None:
        """The next part to be read of a log that is ``loaded`` and ``committed`` up to there.

        None: all of it was read, the slot's own pager is not there yet, or no more rows find room.
        """
        top = committed if self.upto is None else min(self.upto, committed)
        limit = min(PAGE_ROWS, self._room)
        if self.position >= top or limit <= 0 or loaded < self.since:
            return None
        if self.position < self.since:
            return AsideStretch(self.position, min(self.since, top), False, limit)
        return AsideStretch(self.position, top, True, limit)

    def read(self, stretch: AsideStretch, seqs: Sequence[int], *, full: bool) -> list[int]:
        """Take a page of the rows of its number; returns those that go into their lanes.

        ``full``: more may follow in the stretch. While a page is under way the consumer does not
        leave, so that its position stays.
        """
        if self.position != stretch.after:  # put back meanwhile: it is read again
            return []
        upto = seqs[-1] if full else stretch.upto
        left = [seq for seq in seqs if not self.in_flow(seq) and not self.own.settled(seq)]
        after = self.position
        for seq in (*left, upto + 1):  # between them is nothing of its own that is unsettled
            if seq > after + 1:
                self.own.settle_range(after + 1, seq - 1)
            after = seq
        self.position = upto
        self.dirty = True
        new = [seq for seq in left if seq not in self.held]
        self.held.update(new)
        return new

    def settle(self, seq: int) -> None:
        """A row that belongs aside needs no more work."""
        self.own.settle(seq)
        self.held.discard(seq)
        self.dirty = True

    # leaving

    def may_leave(self, committed: int, share: int, *, queued: bool) -> bool:
        """True if all of its rows are in memory, and fewer than half of its share of it.

        ``queued``: a row of its number waits for its commit, or that is under way. Half of the
        ranges stay free for those of the slot's cursor, should it enter again.
        """
        ranges = max(self.own.ranges + len(self.held), self.flow.ranges)
        return (
            self.upto is None
            and not queued
            and self.position >= committed
            and len(self.held) * 2 < share
            and ranges * 2 <= MAX_ASIDE_RANGES
        )

    def leave(self, last: int, record: int) -> None:
        """Rows beyond the last seq that was given are taken in FLOW."""
        if last > self.position:  # seqs of others, and gaps: none of its rows is queued
            self.own.settle_range(self.position + 1, last)
            self.position = last
        self.upto = last
        self._ended_by = record
        self.dirty = True

    def over(self, cursor: Cursor, recorded: int) -> bool:
        """True if its row may be deleted in the record that has this cursor.

        All up to ``upto`` is settled for it, and covered: another consumer of its number may not
        have ended yet with what this one has, and who takes over would find it uncovered.
        """
        return (
            self.upto is not None
            and not self.flags(recorded)
            and self.own.mark >= self.upto
            and cursor.mark >= self.upto
        )

    # recording

    def record_begins(self, cursor: Cursor) -> AsideRow:
        """Return the row for the record that has this cursor of the slot."""
        self._trim(cursor)
        self.dirty = False
        flow, own = self.flow, self.own
        return AsideRow(
            self.consumer,
            self.number,
            flow.mark,
            self.since,
            self.upto,
            flow.flat,
            own.mark,
            own.flat,
            self.why,
        )

    def _trim(self, cursor: Cursor) -> None:
        """Settle parts of ``flow`` that the cursor covers: with it they are on disk as ended."""
        kept: list[int] = []
        flat = self.flow.flat
        for low, high in zip(flat[0::2], flat[1::2], strict=True):
            if cursor.covers(low, high):
                self.own.settle_range(low, high)
            else:
                kept += (low, high)
        self.flow = Cursor(self.flow.mark, kept)

    def _leave_in_flow(self, after: int, of: Entering) -> None:
        """Sort the rows beyond ``after`` that do not wait: what is out stays in FLOW, and what has
        ended is settled. Anything else may wait, in memory, queued or not loaded.
        """
        for low, high in of.cursor.within(after, of.last):
            self.own.settle_range(low, high)
        self.own.settle_all(seq for seq in of.ended if seq > after)
        self.flow.settle_all(seq for seq in of.out if seq > after)

    def _keep_within_bounds(self) -> None:
        """Leave rows in FLOW, from the front, until neither list has too many ranges."""
        for ranges in (self.own, self.flow):
            if (excess := ranges.ranges - MAX_ASIDE_RANGES) > 0:
                base = ranges.flat[2 * excess - 1]
                self.own.settle_range(1, base)
                self.flow.settle_range(1, base)
        self.position = self.own.mark

    @property
    def _room(self) -> int:
        """How many rows may be read: each that is settled before an earlier one opens a range."""
        room = MAX_ASIDE_RANGES - self.own.ranges - len(self.held)
        return room if self.held else max(1, room)


def next_seq(next_seq: int, rows: Iterable[AsideRow]) -> int:
    """The first seq of an epoch, of what journal, cursor and parked rows say and these rows."""
    return max((next_seq, *(max(row.since, row.upto or 0) + 1 for row in rows)))

"""The disk: the rows of a journal, how far the slot's cursor covers them, and who is aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from warouter.flow.aside import AsideRow
from warouter.flow.progress import Unaside

# The numbers with their consumers: one has two destinations, as an event may have.
CONSUMERS = {1: (11, 12), 2: (21,)}
NUMBER_OF = {consumer: number for number, all_of in CONSUMERS.items() for consumer in all_of}


class LogRow(NamedTuple):
    """A row of the journal; ``lane`` is a recipient's."""

    seq: int
    number: int
    lane: str
    flag: bool


class Record(NamedTuple):
    """What one record of the owner writes: who is aside, and then the cursor."""

    number: int
    aside: list[AsideRow | Unaside]
    mark: int
    ranges: list[int]


class Disk:
    """What the next owner finds. ``version`` counts changes."""

    def __init__(self) -> None:
        self.rows: list[LogRow] = []
        self.mark = 0
        self.ranges: list[int] = []
        self.aside: dict[int, AsideRow] = {}
        self.version = 0

    def append(self, rows: Sequence[LogRow]) -> None:
        self.rows += rows
        self.version += 1

    def record(self, record: Record) -> None:
        """Both in one transaction."""
        self.write_aside(record)
        self.write_cursor(record)

    def write_aside(self, record: Record) -> None:
        for change in record.aside:
            if isinstance(change, Unaside):
                self.aside.pop(change.consumer, None)
            else:
                self.aside[change.consumer] = change
        self.version += 1

    def write_cursor(self, record: Record) -> None:
        self.mark, self.ranges = record.mark, record.ranges
        self.version += 1

    def page(self, after: int, upto: int, most: int) -> list[LogRow]:
        """The first rows of a stretch, of all numbers."""
        return [row for row in self.rows if after < row.seq <= upto][:most]

    def page_of(
        self, number: int, after: int, upto: int, most: int, *, flagged: bool
    ) -> list[LogRow]:
        """Those of one number, and with the flag if that is asked for."""
        found = [row for row in self.rows if row.number == number and after < row.seq <= upto]
        return [row for row in found if row.flag or not flagged][:most]

    @property
    def next_seq(self) -> int:
        """What rows and cursor say of it."""
        return 1 + max((self.mark, *self.ranges, *(row.seq for row in self.rows[-1:])))

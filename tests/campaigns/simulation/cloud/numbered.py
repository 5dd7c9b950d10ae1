"""One number a slot as the mark of what was issued, in place of a row for each request.

The specification had it so at first. It says up to where messages were issued and nothing else: not
which of them, not under which attempt, and it cannot be taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from tests.campaigns.simulation.cloud.issues import DOUBTED, ISSUED, Issue, Issues
from tests.campaigns.simulation.journals import Message


class Numbered(Issues):
    """Its rows of what is issued are its owner's memory; the next one has ``marks`` alone."""

    heads: Callable[[set[int]], Iterable[tuple[int, Message]]]
    marks: defaultdict[int, int]

    def write(self, row: Issue) -> None:
        super().write(row)
        if row.state == ISSUED:
            self.marks[row.slot] = max(self.marks[row.slot], row.seq)

    def doubt(self, now: float, held: set[int]) -> None:
        for row in self.of(held):
            if row.state == ISSUED:
                del self.rows[row.slot, row.seq], self.ids[row.id]
        lanes = {(row.slot, row.lane) for row in self.rows.values()}
        for slot, head in self.heads(held):
            if head.seq <= self.marks[slot] and (slot, head.lane) not in lanes:
                self.ids[head.id] = slot, head.seq
                place = slot, head.seq, head.id, head.recipient
                self._doubt(Issue(*place, 1, 1, DOUBTED, now, "takeover", number=head.number))


def numbered(world: Any) -> None:
    """The database has a number for each slot from here on."""
    issues = world.tables.issues
    issues.__class__ = Numbered
    issues.heads, issues.marks = world.tables._heads, defaultdict(int)

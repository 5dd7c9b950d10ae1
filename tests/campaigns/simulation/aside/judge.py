"""The judge: it reads the disk by the protocol's own sentence, with nothing of the product.

A consumer takes a row of its number in FLOW if it has no aside row, or seq <= base, or
seq > upto, or seq is in ``flow``. Every other row belongs aside to it, and is settled for it if
seq <= mark or seq is in ``ranges``.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.campaigns.simulation.aside.disk import CONSUMERS, NUMBER_OF, Disk

LOST, REPEATED, ORDER, STUCK = "I1", "I6", "I7", "I15"
Found = tuple[str, str]


class Judge:
    """Hears of all sends and ends, and looks at the disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.sent: set[tuple[int, int]] = set()
        self.ended: set[tuple[int, int]] = set()
        self._may_repeat: set[tuple[int, int]] = set()
        self._first: dict[tuple[int, str], int] = {}  # the greatest that a lane has begun
        self._last: dict[tuple[int, str], int] = {}  # the last one, in this epoch
        self.found: list[Found] = []

    def on_sent(self, seq: int, consumer: int, lane: str) -> None:
        key, place = (seq, consumer), (consumer, lane)
        if key in self.sent and key not in self._may_repeat:
            self._tell(REPEATED, f"{seq} goes to {consumer} again")
        if key not in self.sent and seq < self._first.get(place, 0):
            self._tell(ORDER, f"{seq} goes to {consumer} after {self._first[place]}")
        if seq < self._last.get(place, 0):
            self._tell(ORDER, f"{seq} goes to {consumer} after {self._last[place]}, in one epoch")
        self._may_repeat.discard(key)
        self.sent.add(key)
        self._first[place] = max(seq, self._first.get(place, 0))
        self._last[place] = seq

    def on_ended(self, seq: int, consumer: int, _lane: str) -> None:
        self.ended.add((seq, consumer))

    def on_death(self) -> None:
        """The next owner may repeat what was out, or had ended and was not recorded."""
        self._last.clear()
        for consumer in NUMBER_OF:
            stored = Stored(self._disk, consumer)
            mine = (key for key in self.sent if key[1] == consumer)
            self._may_repeat.update(key for key in mine if not stored.settled(key[0]))

    def look(self) -> None:
        """Whatever is settled on disk has ended, and a successor would find all else."""
        for consumer, number in NUMBER_OF.items():
            stored = Stored(self._disk, consumer)
            for row in self._disk.rows:
                if row.number != number:
                    continue
                if stored.settled(row.seq):
                    if (row.seq, consumer) not in self.ended:
                        self._tell(LOST, f"{row.seq} is settled for {consumer}, and has not ended")
                elif not row.flag and stored.needs_flag(row.seq):
                    self._tell(LOST, f"{row.seq} belongs aside to {consumer}, and has no flag")

    def look_last(self) -> None:
        """Everything reached everybody, and nothing is left to do."""
        keys = [(row.seq, of) for row in self._disk.rows for of in CONSUMERS[row.number]]
        lost = [key for key in keys if key not in self.sent]
        if lost:
            self._tell(LOST, f"never sent: {lost[:4]}")
        if self._disk.aside:
            self._tell(STUCK, f"still aside: {[*self._disk.aside]}")
        covered = _expanded(self._disk.mark, self._disk.ranges)
        left = [row.seq for row in self._disk.rows if row.seq not in covered]
        if left:
            self._tell(STUCK, f"not covered: {left[:4]}")

    def _tell(self, number: str, how: str) -> None:
        self.found.append((number, how))


class Stored:
    """The disk as one consumer has it."""

    def __init__(self, disk: Disk, consumer: int) -> None:
        self._covered = _expanded(disk.mark, disk.ranges)
        self._aside = disk.aside.get(consumer)
        if self._aside is not None:
            self._flow = _expanded(self._aside.base, self._aside.flow)
            self._own = _expanded(self._aside.mark, self._aside.ranges)

    def settled(self, seq: int) -> bool:
        return seq in (self._own if self._belongs_aside(seq) else self._covered)

    def needs_flag(self, seq: int) -> bool:
        """True if the row cannot be found by its number alone."""
        return self._aside is not None and self._belongs_aside(seq) and seq > self._aside.since

    def _belongs_aside(self, seq: int) -> bool:
        if self._aside is None or seq in self._flow:
            return False
        return self._aside.upto is None or seq <= self._aside.upto


def _expanded(mark: int, flat: Sequence[int]) -> set[int]:
    """The seqs up to a mark and those of flat ranges."""
    found = set(range(1, mark + 1))
    for low, high in zip(flat[0::2], flat[1::2], strict=True):
        found.update(range(low, high + 1))
    return found

"""The cursor: how far a slot's journal is settled, as a mark and settled ranges beyond it.

Everything up to the mark is settled; so is every range (from, to), both inclusive, ascending,
never touching. The idea is that of Apache Pulsar's managed cursor. When ``MAX_RANGES`` ranges are
there (``full``), an owner sends only what cannot open another.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

MAX_RANGES = 128


class Cursor:
    """Settled positions of one slot. Adding twice is harmless."""

    def __init__(self, mark: int = 0, flat: Iterable[int] = ()) -> None:
        self.mark = mark
        bounds = list(flat)
        self._from = bounds[0::2]
        self._to = bounds[1::2]

    @property
    def flat(self) -> list[int]:
        """The ranges as from, to, from, to ..., their stored form."""
        return [bound for pair in zip(self._from, self._to, strict=True) for bound in pair]

    @property
    def ranges(self) -> int:
        """Number of settled ranges beyond the mark."""
        return len(self._from)

    @property
    def full(self) -> bool:
        return len(self._from) >= MAX_RANGES

    @property
    def crowded(self) -> bool:
        """True if half full, with more ranges than a window of unordered answers makes."""
        return len(self._from) >= MAX_RANGES // 2

    @property
    def highest(self) -> int:
        """The greatest settled position."""
        return self._to[-1] if self._to else self.mark

    @property
    def first_range(self) -> int | None:
        """The begin of the first settled range beyond the mark."""
        return self._from[0] if self._from else None

    def settled(self, seq: int) -> bool:
        if seq <= self.mark:
            return True
        i = bisect_right(self._from, seq) - 1
        return i >= 0 and seq <= self._to[i]

    def covers(self, low: int, high: int) -> bool:
        """True if all of low..high inclusive is settled."""
        if high <= self.mark:
            return True
        i = bisect_right(self._from, max(low, self.mark + 1)) - 1
        return i >= 0 and high <= self._to[i]

    def within(self, after: int, upto: int) -> Iterator[tuple[int, int]]:
        """The settled parts of what follows ``after`` up to ``upto``, as (from, to)."""
        if after < self.mark:
            yield after + 1, min(self.mark, upto)
        for low, high in zip(self._from, self._to, strict=True):
            if high > after and low <= upto:
                yield max(low, after + 1), min(high, upto)

    def settle(self, seq: int) -> None:
        if seq == self.mark + 1 and not self._from:  # nearly always: all is settled in its order
            self.mark = seq
        elif self._to and self._to[-1] == seq - 1:
            self._to[-1] = seq
        else:
            self.settle_range(seq, seq)

    def settle_all(self, seqs: Iterable[int]) -> None:
        """Settle positions in any order: most of a batch make a few runs."""
        low = high = 0
        for seq in sorted(seqs):
            if seq > high + 1:
                if high:
                    self.settle_range(low, high)
                low = seq
            high = seq
        if high:
            self.settle_range(low, high)

    def settle_range(self, low: int, high: int) -> None:
        """Settle low..high inclusive, and join adjacent ranges."""
        if high <= self.mark:
            return
        low = max(low, self.mark + 1)
        first = bisect_right(self._to, low - 2)
        last = bisect_right(self._from, high + 1)
        if first < last:
            low = min(low, self._from[first])
            high = max(high, self._to[last - 1])
        self._from[first:last] = [low]
        self._to[first:last] = [high]
        if self._from[0] == self.mark + 1:
            self.mark = self._to[0]
            del self._from[0], self._to[0]

"""Lines of values at one resolution: rings of places, the newest of which is now. Pure."""

from __future__ import annotations

import enum
import math
from array import array
from collections.abc import Iterable, Iterator

POINTS = 720
MOST_LINES = 100  # 6 kB each

Key = tuple[str, tuple[str, ...]]  # a metric and the values of the labels that are kept


class Fold(enum.Enum):
    """The way in which several values of a metric, of other processes or labels, become one."""

    RATE = "increases of counters, added up"
    SUM = "gauges, added up"
    MOST = "the greatest of the gauges"

    def of(self, former: float | None, value: float) -> float:
        """Fold two values into one; ``former`` is None before the first."""
        if former is None:
            return value
        return max(former, value) if self is Fold.MOST else former + value


class Track:
    """Lines whose places are of ``step`` seconds each; those that are not known are NaN."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.lines: dict[Key, array[float]] = {}
        self._written: dict[Key, int] = {}
        self._first: int | None = None
        self._head = 0

    def advance(self, now: float) -> None:
        """Make room for what is true now."""
        head = int(now // self.step)
        if self._first is None:
            self._first = self._head = head
        for place in range(max(self._head + 1, head - POINTS + 1), head + 1):
            for line in self.lines.values():
                line[place % POINTS] = math.nan
        self._head = max(self._head, head)

    def spread(self, key: Key, amount: float, begin: float, end: float) -> None:
        """Add an increase that arose from ``begin`` to ``end``; it was 0 before the first one."""
        line = self._line(key, 0.0)
        if line is None:
            return
        first = max(int(begin // self.step), self._head - POINTS + 1)
        for place in range(first, min(int(end // self.step), self._head) + 1):
            within = min(end, (place + 1) * self.step) - max(begin, place * self.step)
            share = amount * max(within, 0.0) / (end - begin)
            line[place % POINTS] = Fold.RATE.of(_known(line[place % POINTS]), share)

    def put(self, key: Key, value: float) -> None:
        """Add a gauge; the greatest of those in one place stays."""
        line = self._line(key, math.nan)
        if line is not None:
            place = self._head % POINTS
            line[place] = Fold.MOST.of(_known(line[place]), value)

    def last(self, line: array[float], seconds: float) -> Iterator[float]:
        """The known values of the last seconds."""
        count = min(POINTS, math.ceil(seconds / self.step))
        found = (line[place % POINTS] for place in range(self._head - count + 1, self._head + 1))
        return (value for value in found if not math.isnan(value))

    def firsts(self, count: int, group: int) -> range:
        """The first place of each of the last ``count`` points, which have ``group`` places each.

        Points begin at multiples of their length, so that they do not change as they age, and they
        end before the places that reports are still to come for.
        """
        if self._first is None:
            return range(0)
        end = (self._head - 1) // group * group
        begin = max(end - count * group, self._head - POINTS + 1)
        return range(begin + -begin % group, end, group)

    def folded(self, lines: Iterable[array[float]], place: int, fold: Fold) -> float | None:
        """The value of several lines at a place; None if none of them has one there."""
        found = None
        for line in lines:
            if (value := _known(line[place % POINTS])) is not None:
                found = fold.of(found, value)
        return found

    def _line(self, key: Key, watched: float) -> array[float] | None:
        """The line of a key, ``watched`` since the first reading if new; None beyond the limit."""
        line = self.lines.get(key)
        if line is None:
            if len(self.lines) >= MOST_LINES:
                self._drop_silent()
            if len(self.lines) >= MOST_LINES:
                return None
            assert self._first is not None, "advance() comes first"
            line = self.lines[key] = array("d", [math.nan]) * POINTS
            for place in range(max(self._first, self._head - POINTS + 1), self._head + 1):
                line[place % POINTS] = watched
        self._written[key] = self._head
        return line

    def _drop_silent(self) -> None:
        """Forget what has been silent for as long as this track remembers."""
        for key in [k for k, place in self._written.items() if place <= self._head - POINTS]:
            del self.lines[key], self._written[key]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value

"""How much counters grew lately, as far back as they were watched. Pure.

A counter that is lower than before was started anew, and what it says has come since then. The
first look at a series says nothing of what came before it: as with Prometheus.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Set

from warouter.metrics import Sample

KEPT_SECONDS = 3600.0
MOST_SERIES = 2_000

_Key = tuple[str, tuple[tuple[str, str], ...]]


class _Series:
    """``total`` is what the counter has grown by since it was seen first; ``points`` are (when,
    total) of each growth, the last one of before the window included.
    """

    __slots__ = ("labels", "last", "points", "seen", "total")

    def __init__(self, at: float, sample: Sample) -> None:
        self.labels = sample.labels
        self.last = sample.value
        self.total = 0.0
        self.points = [(at, 0.0)]
        self.seen = at

    def add(self, at: float, value: float) -> None:
        grown = value - self.last if value >= self.last else value
        self.last, self.seen = value, at
        if grown:
            self.total += grown
            self.points.append((at, self.total))
            known = bisect_right(self.points, (at - KEPT_SECONDS, float("inf")))
            del self.points[: max(0, known - 1)]

    def increase(self, since: float) -> float:
        known = bisect_right(self.points, (since, float("inf")))
        return self.total - (self.points[known - 1][1] if known else self.points[0][1])


class CounterHistory:
    """Remembers the counters of these ``names`` for an hour. Times are seconds of one clock."""

    def __init__(self, names: Set[str]) -> None:
        self._names = names
        self._series: dict[_Key, _Series] = {}
        self.began: float | None = None  # the first look

    def look(self, at: float, samples: Iterable[Sample]) -> None:
        """Note what the counters say now."""
        if self.began is None:
            self.began = at
        gone = [key for key, s in self._series.items() if at - s.seen > KEPT_SECONDS]
        for key in gone:
            del self._series[key]
        for sample in samples:
            if sample.name not in self._names:
                continue
            key = sample.name, tuple(sorted(sample.labels.items()))
            series = self._series.get(key)
            if series is not None:
                series.add(at, sample.value)
            elif len(self._series) < MOST_SERIES:
                self._series[key] = _Series(at, sample)

    def increases(self, name: str, since: float) -> Iterator[tuple[dict[str, str], float]]:
        """(labels, growth since then) of each series of this name."""
        for (named, _), series in self._series.items():
            if named == name:
                yield series.labels, series.increase(since)

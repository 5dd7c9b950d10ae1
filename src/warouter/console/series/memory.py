"""An hour of metrics in memory, and six hours of them more coarsely. Pure.

A process reports its metrics every five seconds, and nobody keeps the reports before the last. So
the console keeps what its charts show: counters as increases, added up over the processes, and
gauges as the alert rules fold them. Each line has 720 places of 5 s and as many of 30 s, in rings
that never grow, and the number of lines is limited.

An increase is spread over the time in which it arose, from one report of its process to the next:
reports come when they come, and a reading that finds two of them, or none, makes no tooth. Times
are seconds of the monotonic clock.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from warouter.console.series.track import POINTS, Fold, Key, Track
from warouter.metrics import Sample

FINE_SECONDS, COARSE_SECONDS = 5.0, 30.0
HOUR_SECONDS = POINTS * FINE_SECONDS
SAME_SECONDS = 1.0  # two readings of one report find its age so exactly
ROLE = "role"
UPTIME = "warouter_process_uptime_seconds"

Labels = Mapping[str, str]  # by label a regular expression, which has to match as a whole


class KeptMetric(NamedTuple):
    """A metric that is kept, by ``labels``: what differs in others becomes one."""

    fold: Fold
    labels: tuple[str, ...] = ()


KEPT: Mapping[str, KeptMetric] = {
    "warouter_messages_appended_total": KeptMetric(Fold.RATE),
    "warouter_messages_sent_total": KeptMetric(Fold.RATE),
    "warouter_messages_answered_total": KeptMetric(Fold.RATE),
    "api_requests_duration_ms_count": KeptMetric(Fold.RATE),
    "api_requests_duration_ms_sum": KeptMetric(Fold.RATE),
    "callback_requests": KeptMetric(Fold.RATE, ("result",)),
    "warouter_owner_changes_total": KeptMetric(Fold.RATE, ("reason",)),
    "warouter_process_cpu_seconds_total": KeptMetric(Fold.RATE, (ROLE,)),
    "pending_outgoing_messages": KeptMetric(Fold.SUM),
    "callback_queue_size": KeptMetric(Fold.SUM),
    "web_requests": KeptMetric(Fold.SUM),
    "warouter_process_resident_memory_bytes": KeptMetric(Fold.SUM, (ROLE,)),
    "warouter_messages_oldest_seconds": KeptMetric(Fold.MOST),
    "warouter_callbacks_oldest_seconds": KeptMetric(Fold.MOST),
    "warouter_database_connections": KeptMetric(Fold.MOST),
}


class TimeSpan(NamedTuple):
    """A stretch of time up to now, shown as ``points`` of ``group`` places each."""

    title: str
    place_seconds: float
    points: int
    group: int

    @property
    def step(self) -> float:
        """The length of a point in seconds."""
        return self.place_seconds * self.group


SPANS: Mapping[str, TimeSpan] = {
    "15m": TimeSpan("15 minutes", FINE_SECONDS, 180, 1),
    "1h": TimeSpan("1 hour", FINE_SECONDS, 240, 3),
    "6h": TimeSpan("6 hours", COARSE_SECONDS, 240, 3),
}


class Reading(NamedTuple):
    """The samples of one source: a process in its report, or the database under the name "".

    ``incarnation`` differs after a restart; ``at`` is when the values were true.
    """

    source: str
    role: str
    incarnation: object
    at: float
    samples: Sequence[Sample]


class _Before(NamedTuple):
    incarnation: object
    at: float
    counts: dict[Key, float]


class Series:
    """The lines of the metrics of ``KEPT``."""

    def __init__(self) -> None:
        self._tracks = {step: Track(step) for step in (FINE_SECONDS, COARSE_SECONDS)}
        self._before: dict[str, _Before] = {}
        self._began = math.inf
        self._now = -math.inf
        self.taken = 0  # readings so far: what was made of the points is right until the next

    @property
    def began(self) -> float | None:
        """When it first looked; None before that."""
        return None if math.isinf(self._began) else self._began

    def take(self, now: float, readings: Iterable[Reading]) -> None:
        """Add what was read at ``now``, which never goes back."""
        self._began, self._now = min(self._began, now), max(self._now, now)
        self.taken += 1
        for track in self._tracks.values():
            track.advance(now)
        gauges: dict[Key, float] = {}
        for reading in readings:
            told = _told(reading)
            counts = {key: value for key, value in told.items() if _fold(key) is Fold.RATE}
            self._count(reading, counts)
            for key in told.keys() - counts.keys():
                gauges[key] = _fold(key).of(gauges.get(key), told[key])
        for key, value in gauges.items():
            for track in self._tracks.values():
                track.put(key, value)
        for source in [s for s, b in self._before.items() if b.at < now - HOUR_SECONDS]:
            del self._before[source]

    def increase(self, name: str, seconds: float, labels: Labels | None = None) -> float:
        """How much the counters of a metric have grown within the last seconds. Never negative."""
        track = self._tracks[FINE_SECONDS if seconds <= HOUR_SECONDS else COARSE_SECONDS]
        lines = self._matching(track, name, labels)
        return round(sum(sum(track.last(line, seconds)) for line in lines), 3)

    def points(self, span: TimeSpan, name: str, labels: Labels | None = None) -> list[float | None]:
        """Points of a span, oldest first: increases a second, or greatest gauges; None: unknown."""
        track, fold = self._tracks[span.place_seconds], KEPT[name].fold
        lines = self._matching(track, name, labels)
        found: list[float | None] = []
        for first in track.firsts(span.points, span.group):
            values = [
                track.folded(lines, place, fold) for place in range(first, first + span.group)
            ]
            known = [value for value in values if value is not None]
            if fold is Fold.RATE:
                found.append(sum(known) / (len(known) * track.step) if known else None)
            else:
                found.append(max(known, default=None))
        return found

    def start(self, span: TimeSpan) -> float:
        """When the first point of a span begins."""
        track = self._tracks[span.place_seconds]
        return next(iter(track.firsts(span.points, span.group)), 0) * track.step

    def _count(self, reading: Reading, counts: dict[Key, float]) -> None:
        before = self._before.get(reading.source)
        if before is None or before.incarnation != reading.incarnation:
            before = self._at_start(reading)
        elif reading.at - before.at < SAME_SECONDS:
            return
        if before is not None:
            for key, value in counts.items():
                former = before.counts.get(key, 0.0)
                grown = value - former if value >= former else value
                for track in self._tracks.values():
                    track.spread(key, grown, before.at, reading.at)
        self._before[reading.source] = _Before(reading.incarnation, reading.at, counts)

    def _at_start(self, reading: Reading) -> _Before | None:
        """All counters of a new process were 0; None for one that is older than this looks, as what
        counted before is no increase.
        """
        uptime = next((s.value for s in reading.samples if s.name == UPTIME), math.inf)
        at = reading.at - max(uptime, SAME_SECONDS)
        return _Before(reading.incarnation, at, {}) if at >= self._began else None

    def _matching(self, track: Track, name: str, labels: Labels | None) -> list[array[float]]:
        """The lines of a metric whose labels match."""
        kept = KEPT[name].labels
        wanted = [(kept.index(k), re.compile(v)) for k, v in (labels or {}).items()]
        return [
            line
            for (metric, values), line in track.lines.items()
            if metric == name and all(regex.fullmatch(values[at]) for at, regex in wanted)
        ]


def _told(reading: Reading) -> dict[Key, float]:
    """The values of the kept metrics in a reading."""
    found: dict[Key, float] = {}
    for sample in reading.samples:
        kept = KEPT.get(sample.name)
        if kept is not None:
            labels = {**sample.labels, ROLE: reading.role}
            key = sample.name, tuple(labels.get(label, "") for label in kept.labels)
            found[key] = kept.fold.of(found.get(key), float(sample.value))
    return found


def _fold(key: Key) -> Fold:
    return KEPT[key[0]].fold

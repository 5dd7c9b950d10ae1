"""What the console remembers of metrics: increases that never shrink, restarts, bounded memory."""

from __future__ import annotations

import math
import sys
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.console.series.feeder import until_next
from warouter.console.series.memory import (
    COARSE_SECONDS,
    FINE_SECONDS,
    HOUR_SECONDS,
    KEPT,
    SPANS,
    UPTIME,
    Reading,
    Series,
)
from warouter.console.series.track import MOST_LINES, POINTS, Fold
from warouter.metric_catalogue import CATALOGUE
from warouter.metrics import Sample

SENT, QUEUE, OLDEST = (
    "warouter_messages_sent_total",
    "pending_outgoing_messages",
    "warouter_messages_oldest_seconds",
)
BEGIN = 1_000_000.0
ONE, OTHER = UUID(int=1), UUID(int=2)


def said(
    at: float, *samples: Sample, source: str = "a", incarnation: object = ONE, role: str = "coreapp"
) -> Reading:
    return Reading(source, role, incarnation, at, samples)


def sent(at: float, value: float, **who: object) -> Reading:
    return said(at, Sample(SENT, value), **who)  # type: ignore[arg-type]


def taken(*readings: Reading) -> Series:
    """One reading at a time, at the moment that it is about."""
    series = Series()
    for reading in readings:
        series.take(reading.at, [reading])
    return series


def test_kept_series_are_in_the_catalogue_with_their_types() -> None:
    for name, kept in KEPT.items():
        assert CATALOGUE[name].type == ("counter" if kept.fold is Fold.RATE else "gauge"), name


def test_counts_before_the_first_reading_are_no_increase() -> None:
    series = taken(sent(BEGIN, 1000), sent(BEGIN + 5, 1010))
    assert series.increase(SENT, 60) == 10


def test_a_restart_counts_from_nothing() -> None:
    again = said(BEGIN + 20, Sample(SENT, 7), Sample(UPTIME, 6), incarnation=OTHER)
    series = taken(sent(BEGIN, 1000), sent(BEGIN + 5, 1010), again)
    assert series.increase(SENT, 60) == 17


def test_a_counter_that_shrinks_began_anew() -> None:
    series = taken(sent(BEGIN, 1000), sent(BEGIN + 5, 4))
    assert series.increase(SENT, 60) == 4


def test_a_process_that_was_there_before_and_comes_late_is_a_baseline() -> None:
    late = said(BEGIN + 5, Sample(SENT, 500), Sample(UPTIME, 900), source="b")
    assert taken(sent(BEGIN, 0), late).increase(SENT, 60) == 0


def test_one_report_that_is_read_twice_counts_once() -> None:
    series = taken(sent(BEGIN, 0), sent(BEGIN + 5, 10))
    series.take(BEGIN + 10, [sent(BEGIN + 5.01, 10)])
    series.take(BEGIN + 15, [sent(BEGIN + 10, 20)])
    assert series.increase(SENT, 60) == 20


def test_a_label_that_comes_later_counts_in_full() -> None:
    """The first failure is an increase, too."""
    failed = Sample("callback_requests", 3, {"type": "status_change", "result": "500"})
    well = Sample("callback_requests", 90, {"type": "status_change", "result": "success"})
    series = taken(said(BEGIN, well), said(BEGIN + 5, well, failed))
    assert series.increase("callback_requests", 60, {"result": "5..|0"}) == 3
    assert series.increase("callback_requests", 60, {"result": "success"}) == 0


def test_gauges_of_processes_are_added_and_ages_are_not() -> None:
    series = Series()
    for step in range(4):
        at = BEGIN + 5 * step
        readings = [
            said(at, Sample(QUEUE, 5), Sample(OLDEST, 3), source=source) for source in "abc"
        ]
        series.take(at, readings)
    span = SPANS["15m"]
    assert series.points(span, QUEUE)[-2:] == [15, 15]
    assert series.points(span, OLDEST)[-1] == 3


def test_an_increase_is_spread_over_its_time() -> None:
    """Reports that come unevenly make no teeth."""
    series = taken(
        sent(BEGIN, 0), sent(BEGIN + 5, 50), sent(BEGIN + 17, 170), sent(BEGIN + 30, 300)
    )
    assert series.points(SPANS["15m"], SENT)[-5:] == pytest.approx([10.0] * 5)


def test_nothing_is_known_before_the_first_reading() -> None:
    series = Series()
    assert all(series.points(span, SENT) == [] for span in SPANS.values())
    assert series.increase(SENT, 900) == 0
    assert series.began is None


def test_points_do_not_change_as_they_age() -> None:
    series = Series()
    for step in range(400):
        at = BEGIN + 5 * step
        series.take(at, [sent(at, step * step, source=s) for s in "ab"])
        if step == 200:
            span = SPANS["1h"]
            former = dict(_placed(series, "1h"))
    assert former == {at: dict(_placed(series, "1h"))[at] for at in former}
    assert len(series.points(span, SENT)) <= span.points


def _placed(series: Series, name: str) -> list[tuple[float, float | None]]:
    span = SPANS[name]
    start = series.start(span)
    return [
        (start + n * span.step, value)
        for n, value in enumerate(series.points(span, SENT))
        if value is not None
    ]


def test_six_hours_fit_and_are_the_end_of_it() -> None:
    series = Series()
    for step in range(2 * POINTS * 6 + 1):
        at = BEGIN + 5 * step
        series.take(at, [sent(at, 10 * step)])
    assert series.increase(SENT, HOUR_SECONDS) == pytest.approx(POINTS * 10, abs=10)
    assert series.increase(SENT, 6 * HOUR_SECONDS) == pytest.approx(POINTS * 60, abs=60)
    assert series.increase(SENT, 99 * HOUR_SECONDS) == pytest.approx(POINTS * 60, abs=60)
    assert set(map(round, filter(None, series.points(SPANS["6h"], SENT)))) == {2}


def test_memory_is_bounded_however_many_processes_and_labels_come_and_go() -> None:
    """As pods do, each with a name of its own."""
    series = Series()
    for step in range(1_000):
        at = BEGIN + 5 * step
        pods = [
            said(
                at,
                Sample("callback_requests", step, {"result": f"{step}-{n}"}),
                source=f"{step}-{n}",
            )
            for n in range(4)
        ]
        series.take(at, pods)
        series.take(at + 2, [r._replace(at=at + 2) for r in pods])
    lines = [line for track in series._tracks.values() for line in track.lines.values()]
    assert len(lines) == 2 * MOST_LINES
    assert sum(map(sys.getsizeof, lines)) < 1_300_000
    assert len(series._before) <= 4 * POINTS + 4


# Steps of one counter: how long after the last report, how much more, and whether it restarts.
STEPS = st.lists(
    st.tuples(
        st.floats(min_value=1.5, max_value=400.0),
        st.integers(min_value=0, max_value=10**7),
        st.booleans(),
    ),
    max_size=40,
)


@given(STEPS, st.floats(min_value=5.0, max_value=HOUR_SECONDS))
def test_no_increase_is_negative_and_all_of_them_are_found(
    steps: list[tuple[float, int, bool]], window: float
) -> None:
    at, value, grown, incarnation = BEGIN, 500, 0, 1
    series = taken(sent(at, value, incarnation=incarnation))
    for later, more, restarts in steps:
        at += later
        incarnation += restarts
        value = more if restarts else value + more
        grown += more
        up = Sample(UPTIME, later / 2)
        series.take(at, [said(at, Sample(SENT, value), up, incarnation=incarnation)])
        assert 0 <= series.increase(SENT, window) <= grown + 0.01
        for span in SPANS.values():
            assert all(point is None or point >= 0 for point in series.points(span, SENT))
    if at - BEGIN < HOUR_SECONDS - FINE_SECONDS:
        assert series.increase(SENT, HOUR_SECONDS) == pytest.approx(grown, abs=0.01)
    if at - BEGIN < 6 * HOUR_SECONDS - COARSE_SECONDS:
        assert series.increase(SENT, 6 * HOUR_SECONDS) == pytest.approx(grown, abs=0.01)


@given(
    st.lists(st.floats(min_value=0.0, max_value=1e12), min_size=1, max_size=30),
    st.sampled_from(sorted(SPANS)),
)
def test_a_gauge_shows_nothing_that_was_not_read(values: list[float], name: str) -> None:
    series = Series()
    for step, value in enumerate(values):
        series.take(BEGIN + 5 * step, [said(BEGIN + 5 * step, Sample(QUEUE, value))])
    found = [point for point in series.points(SPANS[name], QUEUE) if point is not None]
    assert set(found) <= set(values)
    assert not any(math.isnan(point) for point in found)


@given(st.floats(min_value=0, max_value=1e6), st.lists(st.floats(-0.01, 2.0), max_size=20))
def test_each_place_gets_a_reading_however_exact_timers_are(now: float, late: list[float]) -> None:
    """As far as a reading takes less than a place."""
    places = [now // FINE_SECONDS]
    for by in late:
        now += until_next(now) + by
        places.append(now // FINE_SECONDS)
    assert places == [places[0] + n for n in range(len(places))]

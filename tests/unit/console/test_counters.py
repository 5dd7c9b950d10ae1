"""How much counters grew: never less than they did, across restarts, and not of before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warouter.console.verdict.counters import KEPT_SECONDS, MOST_SERIES, CounterHistory
from warouter.metrics import Sample

NAME = "callback_requests"


def looked(*values: float, every: float = 5.0) -> CounterHistory:
    counters = CounterHistory({NAME})
    for n, value in enumerate(values):
        counters.look(n * every, [Sample(NAME, value, {"node": "a"})])
    return counters


def grown(counters: CounterHistory, since: float) -> float:
    return sum(n for _, n in counters.increases(NAME, since))


def test_the_first_reading_of_a_counter_is_no_increase() -> None:
    assert grown(looked(100), -1e9) == 0
    assert grown(looked(100, 103), -1e9) == 3


def test_a_counter_that_fell_was_started_anew() -> None:
    assert grown(looked(100, 103, 4, 6), -1e9) == 9


@given(
    st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=60),
    st.integers(0, 60),
)
def test_the_growth_since_then_is_the_sum_of_steps(
    steps: list[tuple[int, bool]], first: int
) -> None:
    """``first``: the steps after that look count."""
    value, values = 1000, [1000]
    added: list[int] = []
    for step, restarted in steps:
        if restarted:
            value = 0
        value += step
        added.append(value - values[-1] if value >= values[-1] else value)
        values.append(value)
    counters = looked(*values, every=1.0)
    assert grown(counters, first) == sum(added[first:])


def test_an_hour_is_kept_and_no_more_than_so_many_series() -> None:
    every = KEPT_SECONDS / 4
    counters = looked(*range(0, 100, 10), every=every)
    assert grown(counters, 9 * every - KEPT_SECONDS) == 40
    [series] = counters._series.values()
    assert len(series.points) <= 6
    counters.look(1e9, [Sample(NAME, 0, {"node": str(n)}) for n in range(MOST_SERIES * 2)])
    assert len(counters._series) == MOST_SERIES

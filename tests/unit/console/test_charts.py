"""The charts' points, sentences and tables, and values of the simulator's switches."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.console.pages import tryit
from warouter.console.pages.charts import CHARTS, ROWS, Chart, ChartView, shown
from warouter.console.series.memory import KEPT, SPANS, Reading, Series
from warouter.console.simulator import Switch
from warouter.console.visit import ConsoleRefusal
from warouter.metrics import Sample

OFFSET = 1_700_000_000
BY_NAME = {chart.name: chart for chart in CHARTS}


def fed(steps: int, *samples: tuple[str, float, dict[str, str]]) -> Series:
    """A coreapp that reports every 5 s, whose values grow by so much each time."""
    series = Series()
    for step in range(steps):
        at = 1_000.0 + 5 * step
        said = [Sample(name, value * step, labels) for name, value, labels in samples]
        series.take(at, [Reading("a", "coreapp", 1, at, said)])
    return series


def drawn(chart: Chart, series: Series, span: str = "15m") -> tuple[ChartView, dict[str, Any]]:
    found = shown(chart, series, SPANS[span], OFFSET)
    return found, msgspec.json.decode(found.data)


def test_nine_charts_show_what_is_kept() -> None:
    assert len(CHARTS) == 9
    series = fed(3, *((name, 1.0, {"role": "coreapp"}) for name in KEPT))
    for chart in CHARTS:
        found, data = drawn(chart, series)
        assert len(data["data"]) == 1 + len(chart.lines) == 1 + len(data["names"])
        assert len({len(points) for points in data["data"]}) == 1
        assert found.sentence.startswith(chart.title)


@pytest.mark.parametrize("span", SPANS)
def test_each_point_has_its_time_and_the_table_ends_with_the_newest(span: str) -> None:
    series = fed(800, ("warouter_messages_sent_total", 50, {}))
    found, data = drawn(BY_NAME["messages"], series, span)
    times = data["data"][0]
    step = SPANS[span].step
    assert {later - earlier for earlier, later in pairwise(times)} == {step}
    assert times[-1] <= OFFSET + 1_000 + 5 * 800
    assert found.rows[0][0].timestamp() == times[-1]
    assert ROWS <= len(found.rows) <= ROWS + 1
    assert found.rows[0][1] == [None, 10, None]
    assert "sent 10/s, at most 10/s" in found.sentence


def test_nothing_known_is_said_so() -> None:
    found, data = drawn(BY_NAME["messages"], Series())
    assert found.sentence == "Messages, last 15 minutes: nothing is known yet."
    assert (found.rows, data["data"]) == ([], [[], [], [], []])


def test_each_result_of_a_callback_is_in_one_line() -> None:
    results = ("success", "404", "500", "timeout", "address", "successful")
    for result in results:
        labels = {"type": "status_change", "result": result}
        _, data = drawn(BY_NAME["callbacks"], fed(4, ("callback_requests", 5, labels)))
        assert [any(points) for points in data["data"][1:]].count(True) == 1, result


def test_moves_are_failures_or_planned_and_are_counted() -> None:
    for reason, line in (("dead", 1), ("handover", 2), ("dead-end", 2)):
        series = fed(4, ("warouter_owner_changes_total", 16, {"reason": reason}))
        _, data = drawn(BY_NAME["failovers"], series)
        assert data["data"][line][-1] == 16
        assert not any(data["data"][3 - line])


def test_the_time_of_a_request_is_a_mean_and_unknown_without_one() -> None:
    busy = fed(
        4,
        ("api_requests_duration_ms_count", 10, {"method": "GET_x", "result": "200"}),
        ("api_requests_duration_ms_sum", 70, {"method": "GET_x", "result": "200"}),
    )
    assert drawn(BY_NAME["api"], busy)[1]["data"][1][-1] == 7
    idle = fed(
        4, ("api_requests_duration_ms_count", 0, {}), ("api_requests_duration_ms_sum", 0, {})
    )
    assert drawn(BY_NAME["api"], idle)[1]["data"][1][-1] is None


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        (0.0, "0.3", 0.3),
        (False, "true", True),
        ([], "+491511, 491512", ["491511", "491512"]),
        ([], '["messages"]', ["messages"]),
        ({}, '{"promo": 2061}', {"promo": 2061}),
        ("131000", "reset", "reset"),
    ],
)
def test_values_are_written_as_on_the_command_line(default: Any, text: str, value: Any) -> None:
    assert tryit.value_of(Switch("x", default, default, "it does"), text) == value


@given(st.text(min_size=1), st.sampled_from([0.0, False, [], {}, "", 5]))
def test_any_value_is_read_or_refused(text: str, default: Any) -> None:
    with suppress(ConsoleRefusal):
        tryit.value_of(Switch("x", default, default, "it does"), text)


def test_a_refusal_says_what_such_a_value_looks_like() -> None:
    with pytest.raises(ConsoleRefusal, match="x takes a value such as"):
        tryit.value_of(Switch("x", 0.5, 0.5, "it does"), "much")

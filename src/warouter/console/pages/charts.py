"""Metrics of the last hour as nine small charts, each with a sentence and a table.

They show what this console has read since it was started: the metrics themselves are kept by
Prometheus, for whom every webapp has them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from warouter.console.context import ConsoleContext
from warouter.console.page import Page
from warouter.console.series.memory import SPANS, Labels, Series, TimeSpan
from warouter.console.visit import ConsoleRefusal, ReadingKey

DEFAULT = "1h"
ROWS = 12  # of the table beside a chart
FAILURES = "dead|overdue|successor-died|unreachable|upstream"  # as the rule ManyFailovers has it
MIB = 1024 * 1024
_DIGITS = 4

Points = list[float | None]
Take = Callable[[Series, TimeSpan], Points]


class Chart(NamedTuple):
    """A chart as it is described here; ``unit`` stands behind each value. ``lines`` are by label,
    each with the way in which its points come of the series.
    """

    name: str
    title: str
    unit: str
    lines: Mapping[str, Take]


class ChartView(NamedTuple):
    """A chart as the template wants it. ``data`` is the JSON for the script."""

    name: str
    title: str
    unit: str
    sentence: str
    labels: list[str]
    data: str
    rows: list[tuple[datetime, list[float | None]]]


def _of(name: str, labels: Labels | None = None, factor: float = 1.0) -> Take:
    def points(series: Series, span: TimeSpan) -> Points:
        found = series.points(span, name, labels)
        return [None if value is None else value * factor for value in found]

    return points


def _many(name: str, labels: Labels) -> Take:
    """How many there were in each point, not how many a second."""

    def points(series: Series, span: TimeSpan) -> Points:
        found = series.points(span, name, labels)
        return [None if value is None else value * span.step for value in found]

    return points


def _duration(series: Series, span: TimeSpan) -> Points:
    """The mean time of the requests that ended; None where there was none."""
    counts = series.points(span, "api_requests_duration_ms_count")
    sums = series.points(span, "api_requests_duration_ms_sum")
    return [
        None if not count or total is None else total / count
        for count, total in zip(counts, sums, strict=True)
    ]


def _by_role(name: str, factor: float) -> dict[str, Take]:
    roles = ("webapp", "coreapp", "master")
    return {f"{role}s": _of(name, {"role": role}, factor) for role in roles}


CHARTS = (
    Chart(
        "messages",
        "Messages",
        "/s",
        {
            "accepted": _of("warouter_messages_appended_total"),
            "sent": _of("warouter_messages_sent_total"),
            "answered": _of("warouter_messages_answered_total"),
        },
    ),
    Chart("api", "API time", " ms", {"mean of all requests": _duration}),
    Chart(
        "queue",
        "Waiting",
        "",
        {"messages": _of("pending_outgoing_messages"), "callbacks": _of("callback_queue_size")},
    ),
    Chart(
        "oldest",
        "Age of the oldest",
        " s",
        {
            "message": _of("warouter_messages_oldest_seconds"),
            "callback": _of("warouter_callbacks_oldest_seconds"),
        },
    ),
    Chart(
        "callbacks",
        "Callbacks by result",
        "/s",
        {
            "taken": _of("callback_requests", {"result": "success"}),
            "refused with 4xx": _of("callback_requests", {"result": "4.."}),
            "failed with 5xx": _of("callback_requests", {"result": "5.."}),
            "no answer": _of("callback_requests", {"result": "(?!(success|[45]..)$).*"}),
        },
    ),
    Chart(
        "failovers",
        "Slots that changed their owner",
        "",
        {
            "after a failure": _many("warouter_owner_changes_total", {"reason": FAILURES}),
            "as planned": _many("warouter_owner_changes_total", {"reason": f"(?!({FAILURES})$).*"}),
        },
    ),
    Chart("memory", "Memory", " MiB", _by_role("warouter_process_resident_memory_bytes", 1 / MIB)),
    Chart("cpu", "CPU", " % of a core", _by_role("warouter_process_cpu_seconds_total", 100.0)),
    Chart(
        "connections",
        "Connections",
        "",
        {
            "of clients": _of("web_requests"),
            "to the database": _of("warouter_database_connections"),
        },
    ),
)


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    name = asked.query.get("range", DEFAULT)
    span = SPANS.get(name)
    if span is None:
        raise ConsoleRefusal(f"There is no such range: it is one of {', '.join(SPANS)}.")
    series = context.series
    # Of monotonic times: to a second, so that a point keeps its time.
    offset = round(time.time() - time.monotonic())
    began = series.began
    return {
        "chosen": name,
        "spans": {key: one.title for key, one in SPANS.items()},
        "title": span.title,
        "api": context.api.url,
        "began": None if began is None else _moment(offset + began),
        "charts": _drawn(series, name, offset),
    }


# What was made of a series, for all who look, until it takes something new: every stream reads once
# a second, and there is something new every five.
_DRAWN: WeakKeyDictionary[Series, dict[str, tuple[int, list[ChartView]]]] = WeakKeyDictionary()


def _drawn(series: Series, name: str, offset: float) -> list[ChartView]:
    kept = _DRAWN.setdefault(series, {})
    taken, found = kept.get(name, (-1, []))
    if taken != series.taken:
        found = [shown(chart, series, SPANS[name], offset) for chart in CHARTS]
        kept[name] = (series.taken, found)
    return found


def shown(chart: Chart, series: Series, span: TimeSpan, offset: float) -> ChartView:
    """A chart with its points; ``offset`` makes unix time of theirs."""
    start = offset + series.start(span)
    lines = [[_short(value) for value in points(series, span)] for points in chart.lines.values()]
    times = [round(start + n * span.step) for n in range(len(lines[0]))]
    labels = list(chart.lines)
    every = max(1, len(times) // ROWS)
    rows = range(len(times) - 1, -1, -every)
    return ChartView(
        chart.name,
        chart.title,
        chart.unit.strip(),
        _sentence(chart, lines, span),
        labels,
        msgspec.json.encode(
            {"names": labels, "unit": chart.unit, "data": [times, *lines]}
        ).decode(),
        [(_moment(times[row]), [line[row] for line in lines]) for row in rows],
    )


def _sentence(chart: Chart, lines: list[Points], span: TimeSpan) -> str:
    """A chart in one sentence, for people who cannot see it."""
    told = []
    for label, points in zip(chart.lines, lines, strict=True):
        known = [value for value in points if value is not None]
        if known:
            now, most = (f"{value:g}{chart.unit}" for value in (known[-1], max(known)))
            told.append(f"{label} {now}, at most {most}")
    if not told:
        return f"{chart.title}, last {span.title}: nothing is known yet."
    return f"{chart.title}, last {span.title}: {'; '.join(told)}."


def _short(value: float | None) -> float | None:
    """Round a value to what a chart shows: a whole number, or four digits."""
    if value is None:
        return None
    found = float(f"{value:.{_DIGITS}g}") if abs(value) < 10**_DIGITS else round(value)
    return int(found) if found == int(found) else found


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(round(at), UTC)


PAGES = (Page("/console/charts", "charts", "Metrics", read, key="t"),)

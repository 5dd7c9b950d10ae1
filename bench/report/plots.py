"""The plots of docs/benchmarks.md. Pure."""

from __future__ import annotations

from bench.e2e.chart import Line, chart
from bench.report.cost import FULL, KEPT_UP, rates
from bench.report.results import Figures, at

BLACK, GREY, BLUE = "black", "#888", "#36c"


def plots(idle: Figures, e2e: Figures) -> dict[str, str]:
    """By file name; of what was measured."""
    found = {}
    if idle:
        found["cpu.svg"] = _cpu(idle)
    if "connections_per_s" in e2e:
        found["accepts.svg"] = _accepts(e2e)
    if "32" in e2e.get("shard_scaling", ()):  # not of a quick run
        found["scaling.svg"] = _scaling(e2e)
    return found


def _cpu(idle: Figures) -> str:
    ticks = [int(rate) for rate in rates(idle["this"]) if rate != FULL]
    return chart(
        "CPU of a message's whole life with three callbacks, ms",
        "messages a second",
        ticks,
        (
            Line("the smallest server", GREY, _costs(idle["plain"])),
            Line("warouter", BLACK, _costs(idle["this"])),
        ),
        ".2f",
    )


def _costs(side: Figures) -> list[tuple[float, float]]:
    """At the rates that were kept up with, and at full load where that is more."""
    paced = [rate for rate in rates(side) if rate != FULL]
    kept = [rate for rate in paced if at(side, "per_s", rate) >= KEPT_UP * int(rate)]
    most = max(map(int, kept), default=0)
    if at(side, "per_s", FULL) > most:
        kept.append(FULL)
    return [(at(side, "per_s", rate), at(side, "cpu_ms", rate, "product")) for rate in kept]


def _accepts(e2e: Figures) -> str:
    found = e2e["connections_per_s"]
    sides = (
        ("the naive server", GREY, "naive"),
        ("the bare floor", BLUE, "floor"),
        ("warouter", BLACK, "this"),
    )
    return chart(
        "201s a second, upstream paused",
        "connections",
        [int(n) for n in found["this"]],
        [
            Line(name, colour, [(int(n), per_s) for n, per_s in found[side].items()])
            for name, colour, side in sides
        ],
        ",.0f",
    )


def _scaling(e2e: Figures) -> str:
    points = {int(n): per_s for n, per_s in e2e["shard_scaling"].items() if n.isdigit()}
    return chart(
        "messages a second, the upstream taking 250 a second from each shard",
        "shards",
        list(points),
        (
            Line("linear", GREY, [(n, 250.0 * n) for n in points], plain=True),
            Line("measured", BLACK, list(points.items())),
        ),
        ",.0f",
    )

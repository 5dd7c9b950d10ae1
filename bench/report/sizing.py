"""What the results say of the costs that ``warouter sizing`` plans with. Pure.

Its model of a kind of process: a message takes ``full_us``, and ``thin_us`` more while there are so
few that the additional time of all is below ``thin_cores`` of a core for each process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bench.report.cost import FULL
from bench.report.results import Figures, at
from warouter.sizing.costs import Cpu

FEW, MANY = "80", "1000"  # a rate at which messages are alone, and one at which they are not
# Processes that share the work in both benchmarks: one webapp, the owners of two shards.
WORKING = {"webapp": 1, "coreapp": 2, "postgres": 2}


class Point(NamedTuple):
    """The CPU of a message at a rate, for one kind of process."""

    per_s: float
    cpu_us: float


def costs(idle: Figures) -> dict[str, Cpu]:
    """By kind; nothing without the rates that are wanted."""
    this = idle.get("this", {})
    rates = FEW, MANY, FULL
    if any(at(this, "cpu_ms", rate) is None for rate in rates):
        return {}
    return _fitted(
        lambda kind: [
            Point(at(this, "per_s", rate), at(this, "cpu_ms", rate, kind) * 1000) for rate in rates
        ]
    )


def cloud_costs(cloud: Figures) -> dict[str, Cpu]:
    """By kind, at the Cloud API with a status a POST; nothing without the rounds it wants.

    What a message takes in full batches is at most what it took as fast as the cluster went: for a
    webapp with a status a POST, for the others with a hundred, which are faster and the same work.
    """
    slow, fast = at(cloud, "sustained", FEW), at(cloud, "sustained", MANY)
    fullest = {kind: at(cloud, "lives_packed", "cpu_us", kind) for kind in WORKING}
    fullest["webapp"] = at(cloud, "lives", "cpu_us", "webapp")
    if None in (slow, fast, *fullest.values()):
        return {}
    points = {
        kind: [Point(one["per_s"], one["cpu_us"][kind]) for one in (slow, fast)] for kind in WORKING
    }
    return {kind: _bent(*points[kind], fullest[kind], n) for kind, n in WORKING.items()}


def _fitted(points: Callable[[str], list[Point]]) -> dict[str, Cpu]:
    return {kind: _through(*points(kind), processes) for kind, processes in WORKING.items()}


def _through(few: Point, many: Point, most: Point, processes: int) -> Cpu:
    """The last two are beyond the bend."""
    many_us, most_us = (point.per_s * point.cpu_us for point in (many, most))
    return _bent(few, many, (most_us - many_us) / (most.per_s - many.per_s), processes)


def _bent(few: Point, many: Point, full_us: float, processes: int) -> Cpu:
    """``many`` is beyond the bend."""
    many_us = many.per_s * many.cpu_us
    return Cpu(
        full_us=round(full_us, 1),
        thin_us=round(few.cpu_us - full_us),
        thin_cores=round((many_us - many.per_s * full_us) / 1e6 / processes, 3),
    )

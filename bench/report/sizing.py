"""What the results say of the costs that ``warouter sizing`` plans with. Pure.

Its model of a kind of process: a message takes ``full_us``, and ``thin_us`` more while there are so
few that the additional time of all is below ``thin_cores`` of a core for each process.
"""

from __future__ import annotations

from bench.report.cost import FULL
from bench.report.results import Figures, at
from warouter.sizing.costs import Cpu

FEW, MANY = "80", "1000"  # a rate at which messages are alone, and one at which they are not
# Processes that share the work in bench.idle: one webapp, the owners of two shards.
WORKING = {"webapp": 1, "coreapp": 2, "postgres": 2}


def costs(idle: Figures) -> dict[str, Cpu]:
    """By kind; nothing without the rates that are wanted."""
    this = idle.get("this", {})
    if any(at(this, "cpu_ms", rate) is None for rate in (FEW, MANY, FULL)):
        return {}
    return {kind: _fitted(this, kind, processes) for kind, processes in WORKING.items()}


def _fitted(this: Figures, kind: str, processes: int) -> Cpu:
    """Through 80/s, 1,000/s and full load: the last two are beyond the bend."""

    def of(rate: str) -> tuple[float, float]:
        per_s, cpu_us = at(this, "per_s", rate), at(this, "cpu_ms", rate, kind) * 1000
        return per_s, per_s * cpu_us

    (many, many_us), (most, most_us) = of(MANY), of(FULL)
    full_us = (most_us - many_us) / (most - many)
    return Cpu(
        full_us=round(full_us, 1),
        thin_us=round(at(this, "cpu_ms", FEW, kind) * 1000 - full_us),
        thin_cores=round((many_us - many * full_us) / 1e6 / processes, 3),
    )

"""What many runs came to, in a line, and how to see those again that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.campaigns.simulation.world import Result

SHOWN = 20  # failing seeds


def report_aside(results: Iterable[Result]) -> int:
    """Print it; returns 1 if an invariant was broken."""
    seeds = rows = 0
    cpu, steps = 0.0, Counter[str]()
    failed: list[Result] = []
    for result in results:
        seeds, rows, cpu = seeds + 1, rows + result.messages, cpu + result.cpu
        steps.update(result.hits)
        if result.violations:
            failed.append(result)
    taken = ", ".join(f"{name} {n}" for name, n in sorted(steps.items()))
    print(
        f"aside: {seeds} seeds, {rows} rows, {steps.total()} steps ({taken}),"
        f" {cpu / max(1, seeds) * 1000:.0f} ms of CPU a seed: {len(failed)} failed"
    )
    for result in failed[:SHOWN]:
        at, number, how = result.violations[0]
        print(f"\naside seed {result.seed}: {number} at step {at:.0f}: {how}")
        print(f"  again: python -m tests.campaigns.simulation.aside --seed {result.seed} --trace")
    return int(bool(failed))

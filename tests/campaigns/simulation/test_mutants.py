"""Every mechanism that is taken out is missed: a judge that finds nothing judges nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.chaos.mutation import SCENARIOS
from tests.campaigns.simulation import nemeses
from tests.campaigns.simulation.kinds import BY_NAME
from tests.campaigns.simulation.world import run
from tests.harness.mutants import MUTANTS
from tests.harness.patch import patched

MOST_SEEDS = 120
CLUSTERS = Path(__file__).parents[2] / "cluster"
SIMULATED = [name for name, mutant in MUTANTS.items() if mutant.threats or mutant.plan]


@pytest.mark.parametrize("name", SIMULATED)
def test_a_mutant_is_found(name: str) -> None:
    mutant = MUTANTS[name]
    for seed in range(mutant.first, mutant.first + MOST_SEEDS):
        if {number for _, number, _ in violations(name, seed)} & {*mutant.breaks}:
            return
    pytest.fail(f"{MOST_SEEDS} seeds did not miss what {name} takes out")


def test_every_mutant_is_run_somewhere() -> None:
    scenarios = {scenario.mutant for scenario in SCENARIOS}
    clusters = "".join(path.read_text() for path in CLUSTERS.glob("test_*.py"))
    left = MUTANTS.keys() - {*SIMULATED} - scenarios
    assert [name for name in left if f'"{name}"' not in clusters] == [], "give these threats"


def violations(name: str, seed: int) -> list[tuple[float, str, str]]:
    """Of one seed of the product without a mechanism."""
    mutant = MUTANTS[name]
    plan = getattr(nemeses, mutant.plan) if mutant.plan else ()
    seconds = nemeses.SLOW_SECONDS if mutant.plan.startswith("SLOW_") else 30.0
    kinds = [BY_NAME[threat] for threat in mutant.threats]
    with patched(mutant.changes):
        result = run(seed, seconds, lose=mutant.flag, kinds=kinds, plan=plan, small=not plan)
    return result.violations

"""Every mechanism that is taken out is missed: a judge that finds nothing judges nothing.

Each mutant runs with the one seed that ``make mutants`` found for it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.chaos.mutation import SCENARIOS
from tests.campaigns.simulation.cloud import mutants as cloud
from tests.campaigns.simulation.mutation import NAMES, SIMULATED, frozen, misses, whole, without
from tests.harness.mutants import MUTANTS

CLUSTERS = Path(__file__).parents[2] / "cluster"
INVARIANTS = ("I16", "I21", "I22", "I25", "I26")  # of docs/architecture.md, no rows of the table
OF_POSTGRESQL = ("D19",)  # tests/integration/test_cloud_webhooks.py


@pytest.mark.parametrize("name", NAMES)
def test_a_mutant_is_found(name: str) -> None:
    """In a run in which nothing is wrong with the product."""
    seed = frozen()[name]
    result = without(name, seed)
    assert misses(name, result), f"seed {seed} does not miss what is taken out: run `make mutants`"
    assert whole(name, seed).violations == []


def test_each_mutant_has_a_seed_and_no_other() -> None:
    assert tuple(frozen()) == NAMES, "run `make mutants`"


def test_every_mutant_is_run_somewhere() -> None:
    scenarios = {scenario.mutant for scenario in SCENARIOS}
    clusters = "".join(path.read_text() for path in CLUSTERS.glob("test_*.py"))
    left = MUTANTS.keys() - {*SIMULATED} - scenarios
    assert [name for name in left if f'"{name}"' not in clusters] == [], "give these threats"


def test_each_row_of_the_specification_s_table_has_a_mutant() -> None:
    rows = {row for mutant in cloud.MUTANTS.values() for row in mutant.rows.split()}
    assert rows | {*OF_POSTGRESQL} == {"D4b", *INVARIANTS, *(f"D{n}" for n in range(1, 22))}

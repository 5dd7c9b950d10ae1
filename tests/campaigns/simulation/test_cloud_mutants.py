"""Every rule of the Cloud API's crash protocol that is taken out is missed; with it, all holds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.campaigns.simulation.cloud.mutants import MUTANTS, Mutant
from tests.campaigns.simulation.cloud.world import HELD_SECONDS, CloudWorld
from tests.campaigns.simulation.world import run
from tests.harness.patch import patched
from warouter.flow import windows

MOST_SEEDS = 40
INVARIANTS = ("I16", "I21", "I22", "I25")  # of docs/architecture.md, no rows of the table
OF_POSTGRESQL = ("D19",)  # tests/integration/test_cloud_webhooks.py


def violations(mutant: Mutant, seed: int) -> list[tuple[float, str, str]]:
    """Of one seed, as the mutant has it."""

    def made(*given: Any) -> CloudWorld:
        held = windows.HELD_SECONDS if mutant.held else HELD_SECONDS
        world = CloudWorld(*given, policy=mutant.policy, way=mutant.way, held=held)
        history = world.history
        history.once, history.moves, history.prompt = mutant.once, mutant.moves, mutant.prompt
        history.spared = mutant.spared
        history.before = world.tables.unsettled_before
        if mutant.held:
            world.upstream.switch(held_templates=("promo",))
        if mutant.moves:
            world.upstream.slow(0.6)
        mutant.spoil(world)
        return world

    result = run(seed, kinds=mutant.threats, small=not mutant.full, world=made)
    return result.violations


@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_that_is_taken_out_is_missed(name: str) -> None:
    """By a seed in which nothing is wrong with it."""
    mutant = MUTANTS[name]
    for seed in range(mutant.first, mutant.first + MOST_SEEDS):
        with patched(mutant.changes):
            found = {number for _, number, _ in violations(mutant, seed)}
        if found & {*mutant.breaks}:
            whole = mutant._replace(changes=[], spoil=lambda _world: None)
            assert violations(whole, seed) == []
            return
    pytest.fail(f"{MOST_SEEDS} seeds did not miss what is taken out: {name}")


def test_each_row_of_the_specification_s_table_has_a_mutant() -> None:
    rows = {row for mutant in MUTANTS.values() for row in mutant.rows.split()}
    assert rows | {*OF_POSTGRESQL} == {"D4b", *INVARIANTS, *(f"D{n}" for n in range(1, 22))}

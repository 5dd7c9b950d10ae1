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
WELL_SEEDS = 2


def violations(mutant: Mutant, seed: int) -> list[tuple[float, str, str]]:
    """Of one seed, as the mutant has it."""

    def made(*given: Any) -> CloudWorld:
        held = windows.HELD_SECONDS if mutant.held else HELD_SECONDS
        world = CloudWorld(*given, policy=mutant.policy, way=mutant.way, held=held)
        world.history.once, world.history.moves = mutant.once, mutant.moves
        world.upstream.held = mutant.held
        if mutant.moves:
            world.upstream.slowness = 0.6
        mutant.spoil(world)
        return world

    result = run(seed, kinds=mutant.threats, small=not mutant.full, world=made)
    return result.violations


@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_that_is_taken_out_is_missed(name: str) -> None:
    mutant = MUTANTS[name]
    for seed in range(mutant.first, mutant.first + MOST_SEEDS):
        with patched(mutant.changes):
            found = {number for _, number, _ in violations(mutant, seed)}
        if found & {*mutant.breaks}:
            return
    pytest.fail(f"{MOST_SEEDS} seeds did not miss what is taken out: {name}")


@pytest.mark.parametrize("name", MUTANTS)
def test_with_the_rule_nothing_is_wrong(name: str) -> None:
    whole = MUTANTS[name]._replace(changes=[], spoil=lambda _world: None)
    for seed in range(whole.first, whole.first + WELL_SEEDS):
        assert violations(whole, seed) == []

"""Faults that last to the end of a run: what the cluster must do without hands.

Somebody else takes over, or everything goes on slowly. All that end by themselves are drawn by the
seeds of ``make simulate``.
"""

from __future__ import annotations

import inspect

import pytest

from tests.campaigns.simulation import nemeses
from tests.campaigns.simulation.faults import Plan
from tests.campaigns.simulation.kinds import DRAWN
from tests.campaigns.simulation.nemeses import REFUSED_PLAN, SLOW_PLAN, WITHOUT_RIGHT_PLAN
from tests.campaigns.simulation.world import run

SEEDS = 6


def broken(plan: Plan, seconds: float = 30.0) -> dict[int, object]:
    """By seed, the first promise that was broken when just this went wrong."""
    results = [run(seed, seconds, plan=plan, small=False) for seed in range(SEEDS)]
    return {result.seed: result.violations[0] for result in results if result.violations}


def test_every_fault_is_drawn() -> None:
    functions = [f for f in vars(nemeses).values() if inspect.isfunction(f)]
    kinds = {f for f in functions if f.__annotations__["return"] == "bool"}
    planned = {kind for plan in (SLOW_PLAN, REFUSED_PLAN, WITHOUT_RIGHT_PLAN) for _, kind in plan}
    left = kinds - planned - {nemeses.parks} - set(DRAWN)
    assert {kind.__name__ for kind in left} == set(), "give these a line in NEMESES"


@pytest.mark.parametrize("plan", [REFUSED_PLAN, WITHOUT_RIGHT_PLAN])
def test_an_owner_that_beats_and_cannot_write_is_succeeded(plan: Plan) -> None:
    assert not broken(plan)


def test_commits_that_take_more_than_a_second_keep_nobody_from_leading_or_owning() -> None:
    assert not broken(SLOW_PLAN, nemeses.SLOW_SECONDS)

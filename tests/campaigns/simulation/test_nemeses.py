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
from tests.campaigns.simulation.nemeses import (
    REFUSED_PLAN,
    SLOW_PLAN,
    SLOW_PROMOTED_PLAN,
    SLOW_RESTARTED_PLAN,
    WITHOUT_RIGHT_PLAN,
)
from tests.campaigns.simulation.world import Result, run
from tests.harness.patch import patched
from warouter.node.master import Master
from warouter.store import election

SEEDS = 6
SHORT = 0.3  # seconds: a leader's limit, far below what a commit of SLOW_PLAN takes
FEW_TERMS = 6  # for two masters of which one is killed
TWO_WIN = (5, 7, 13)  # seeds in which two masters contend while winning is slow
BEHIND_LOCKS = (2, 3, 9)  # seeds in which raising epochs meets locks that slow commits hold


def broken(plan: Plan, seconds: float = 30.0) -> dict[int, object]:
    """By seed, the first promise that was broken when just this went wrong."""
    results = [run(seed, seconds, plan=plan, small=False) for seed in range(SEEDS)]
    return {result.seed: result.violations[0] for result in results if result.violations}


def test_every_fault_is_drawn() -> None:
    functions = [f for f in vars(nemeses).values() if inspect.isfunction(f)]
    kinds = {f for f in functions if f.__annotations__["return"] == "bool"}
    slow = (SLOW_PLAN, SLOW_PROMOTED_PLAN, SLOW_RESTARTED_PLAN)
    plans = (*slow, REFUSED_PLAN, WITHOUT_RIGHT_PLAN)
    planned = {kind for plan in plans for _, kind in plan}
    left = kinds - planned - {nemeses.parks} - set(DRAWN)
    assert {kind.__name__ for kind in left} == set(), "give these a line in NEMESES"


@pytest.mark.parametrize("plan", [REFUSED_PLAN, WITHOUT_RIGHT_PLAN])
def test_an_owner_that_beats_and_cannot_write_is_succeeded(plan: Plan) -> None:
    assert not broken(plan)


def test_commits_that_take_more_than_a_second_keep_nobody_from_leading_or_owning() -> None:
    assert not broken(SLOW_PLAN, nemeses.SLOW_SECONDS)


def terms(result: Result) -> int:
    return sum(entry[1] == "term" for entry in result.trace)


def test_commits_that_take_longer_than_a_leader_waits_are_waited_for_in_the_end() -> None:
    """Else masters win term after term, and nobody succeeds the dead."""
    with patched([(election, "WRITE_SECONDS", SHORT)]):
        for seed in range(SEEDS // 2):
            result = run(seed, nemeses.SLOW_SECONDS, plan=SLOW_PLAN, small=False)
            assert result.violations == []
            assert terms(result) <= FEW_TERMS


@pytest.mark.parametrize("seed", TWO_WIN)
def test_a_contender_does_not_end_the_session_of_the_coming_leader(seed: int) -> None:
    result = run(seed, nemeses.SLOW_SECONDS, plan=SLOW_RESTARTED_PLAN, small=False)
    assert result.violations == []


@pytest.mark.parametrize("seed", BEHIND_LOCKS)
def test_a_leader_that_meets_the_locks_of_slow_commits_leads_on(seed: int) -> None:
    """A term that is given up for a lock costs another slow commit, and meets the next lock."""
    ended: list[str] = []
    resign = Master._resign

    def told(self: Master, why: str) -> None:
        if self.term is not None:
            ended.append(why)
        resign(self, why)

    with patched([(Master, "_resign", told)]):
        result = run(seed, nemeses.SLOW_SECONDS, plan=SLOW_PROMOTED_PLAN, small=False)
    assert result.violations == []
    assert "55P03" not in ended

"""The number is paused and goes on, at any time and beside any other fault: nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.campaigns.simulation import kinds
from tests.campaigns.simulation.cloud import faults as cloud
from tests.campaigns.simulation.cloud.world import CloudWorld
from tests.campaigns.simulation.faults import FIRST, LAST, Faults, Kind, drawn
from tests.campaigns.simulation.world import Result, World, run
from tests.harness.patch import patched
from warouter.flow.log import SlotLog

SEEDS = 6
LEASE = 3.0  # the longest that is drawn: who has not heard of a pause by then sends nothing


def pause_number(faults: Faults, random: Random) -> bool:
    """An operator pauses the number, and lets it go on."""
    world = faults.world
    _pause(world, 1)
    faults.ends(random.choice((0.2, 1.0, 5.0)) * random.uniform(0.5, 1.5), _pause, world)
    return True


def _pause(world: Any, *numbers: int) -> None:
    world.tables.pause(*numbers)
    world.history.note("paused", *numbers)
    world.server.notify("auth")


def paused(
    seed: int, others: tuple[Kind, ...], world: Callable[..., World] | None = None
) -> Result:
    """A run with drawn faults in which the number is paused several times."""
    random = Random(f"paused:{seed}")
    pauses = [(random.uniform(FIRST, LAST), pause_number) for _ in range(random.randint(1, 5))]
    plan = sorted([*pauses, *drawn(random, random.randint(0, 4), others)], key=lambda p: p[0])
    return run(seed, plan=plan, world=world)


def sent_while_paused(result: Result, *, again: bool) -> list[tuple[Any, ...]]:
    """What was sent when every owner knew that it may not; ``again``: repeats count as well, which
    the simulator's upstream is sent until it answers.
    """
    since, sent, found = float("inf"), set(), []
    for at, what, *details in result.trace:
        if what == "paused":
            since = min(since, at) if details else float("inf")
        elif what == "send":
            if at > since + LEASE and (again or details[-1] not in sent):
                found.append((at, *details))
            sent.add(details[-1])
    return found


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_of_a_number_that_is_paused(seed: int) -> None:
    result = paused(seed, kinds.DRAWN)
    assert result.violations == []
    assert sent_while_paused(result, again=False) == []


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nor_with_the_cloud_api(seed: int) -> None:
    result = paused(seed, cloud.DRAWN, CloudWorld)
    assert result.violations == []
    assert sent_while_paused(result, again=True) == []


def test_a_row_that_is_passed_over_has_not_ended() -> None:
    """The build without the rule: what is behind goes before the end is on disk."""
    with patched([(SlotLog, "pass_over", SlotLog.settle)]):
        result = paused(145, cloud.DRAWN, CloudWorld)
    assert {number for _, number, _ in result.violations} == {"I7"}

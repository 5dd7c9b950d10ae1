"""What a proof is worth, in simulated time: messages that were taken, and of which the status comes
late because listeners were away. What is believed proven before that is sent twice.

Meta is assumed to repeat a POST that failed after 5 s, then after twice as long each time.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

import pytest

from warouter.flow.proof import Cohort, ListenerAges, ProofState, way
from warouter.flow.windows import Wait, Windows

WINDOWS = Windows()
WINDOW = WINDOWS.of(Wait.ORDINARY)
DAY = 86_400.0
SEED, DOUBTS = 1, 250


class World(NamedTuple):
    """``rate``: statuses a second. ``away``: for so long after the doubt's start POSTs fail, the
    ``share`` of them that meets the webapp that is away. ``ahead``: Meta's clock.
    """

    rate: float = 1.0
    away: float = 0.0
    share: float = 1.0
    ahead: float = 0.0


class Doubt(NamedTuple):
    """One message that was taken: when its status arrives, and when those of others were made and
    arrive. Seconds since the doubt began, by our clock.
    """

    mine: float
    others: list[tuple[float, float]]


def arrival(made: float, world: World, chance: random.Random) -> float:
    late = chance.random() < 0.002
    now = made + (chance.uniform(60.0, 600.0) if late else chance.expovariate(2.0))
    wait = 5.0
    while 0.0 <= now < world.away and chance.random() < world.share:
        now += wait * chance.uniform(0.5, 1.5)
        wait *= 2.0
    return now


def doubt(world: World, chance: random.Random) -> Doubt:
    mine = arrival(chance.uniform(0.0, 0.5), world, chance)
    made, others = -120.0, []
    while (made := made + chance.expovariate(world.rate)) < WINDOW.blind:
        others.append((made, arrival(made, world, chance)))
    return Doubt(mine, others)


def one_event(world: World, doubt: Doubt) -> float:
    """When something arrives that was made after the doubt began, as our clock has it."""
    seen = [arrives for made, arrives in doubt.others if made + world.ahead >= 3.0 and arrives >= 0]
    return max(WINDOW.ends, min(seen, default=math.inf))


def proof(world: World, doubt: Doubt) -> float:
    """When ``way`` calls it proven, asked every five seconds."""
    cohort = sorted(arrives for made, arrives in doubt.others if 0.0 <= made <= 30.0)
    arrived = sorted((arrives, made) for made, arrives in doubt.others)
    newest = list(accumulate((made for _, made in arrived), max))
    age = WINDOW.ends
    while age < WINDOW.blind:
        known = bisect_right(arrived, (age, math.inf))
        meta = age - newest[known - 1] - world.ahead if known else None
        verdict = way(
            age,
            Cohort(len(cohort), len(cohort) - bisect_right(cohort, age)),
            listeners(world, age, meta),
            offset=world.ahead,
            windows=WINDOWS,
            spread=0.0,
        )
        if verdict is ProofState.PROVEN:
            return age
        age += 5.0
    return math.inf


def listeners(world: World, age: float, meta: float | None) -> list[ListenerAges]:
    """Two webapps that share the POSTs, or one that died and begins again."""
    if world.share < 1.0:
        return [ListenerAges(age + DAY, 0.0, meta=meta), ListenerAges(age - world.away, 0.0)]
    if not world.away:
        return [ListenerAges(age + DAY, 0.0, meta=meta)]
    return [ListenerAges(age + DAY, age), ListenerAges(age - world.away, 0.0, meta=meta)]


Rule = Callable[[World, Doubt], float]


def sent_twice(world: World, rule: Rule) -> int:
    chance = random.Random(SEED)
    doubts = [doubt(world, chance) for _ in range(DOUBTS)]
    return sum(min(rule(world, each), WINDOW.blind) < each.mine for each in doubts)


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(World(away=90.0), id="away for 90 s"),
        pytest.param(World(away=90.0, share=0.5), id="every second POST"),
        pytest.param(World(away=50.0, ahead=60.0), id="our clock behind"),
        pytest.param(World(rate=1 / 300, away=90.0), id="idle, away for 90 s"),
    ],
)
def test_listeners_that_were_away_cost_ten_times_fewer_repeats_than_by_one_event(
    world: World,
) -> None:
    by_event = sent_twice(world, one_event)
    assert by_event >= 10, "the world is kind, and shows nothing"
    assert sent_twice(world, proof) <= by_event / 10


@pytest.mark.parametrize("rate", [1.0, 1 / 300])
def test_while_all_is_well_hardly_any_is_sent_twice(rate: float) -> None:
    assert sent_twice(World(rate=rate), proof) <= DOUBTS / 100


def test_on_a_quiet_day_the_window_is_all_that_it_costs() -> None:
    chance = random.Random(SEED)
    waits = [proof(World(), doubt(World(), chance)) for _ in range(DOUBTS)]
    assert sum(waits) / DOUBTS <= WINDOW.ends + 2.0

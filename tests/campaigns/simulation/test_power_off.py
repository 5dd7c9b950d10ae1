"""A machine stops in order: its coreapps and its master are told at once, and nobody dies of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Set
from random import Random
from typing import Any

import pytest

from tests.campaigns.simulation.faults import Faults, Kind, Plan
from tests.campaigns.simulation.server import Trouble
from tests.campaigns.simulation.world import run
from tests.harness.patch import patched
from warouter.cluster import plan as planning
from warouter.owner.beats import Beats

SEEDS = 6
OFF = 5.0
FORCED = {"dead", "overdue", "successor-died", "unreachable", "upstream", "journal"}


def slow(least: float, most: float) -> Kind:
    """Each flush takes so long, until everything has stopped."""

    def slow_disk(faults: Faults, _random: Random) -> bool:
        world = faults.world
        world.server.slowest = (least, most)
        world.clock.at(OFF + 8.0, setattr, world.server, "slowest", None)
        return True

    return slow_disk


def cut_short(faults: Faults, _random: Random) -> bool:
    """Each coreapp loses the session of its beats as soon as it leaves."""
    world = faults.world
    for name in world.coreapps:
        world.clock.at(OFF, _end_beats, world, name)
    return True


def held_up(faults: Faults, _random: Random) -> bool:
    """The first word of each coreapp that it leaves waits: a leader has its node's row."""
    world = faults.world
    for name in world.coreapps:
        trouble = world.server.troubles.setdefault(name, Trouble())
        trouble.only, trouble.late = "say_leaving", [1.8]
    return True


def _end_beats(world: Any, name: str) -> None:
    for session in [s for s in world.server.sessions if s.process == name and s.beats]:
        session.kill()


def reasons(*before: Kind) -> Iterator[Set[str]]:
    """Why slots changed hands in each run in which a machine was powered off."""
    off: Plan = (*((OFF - 1.0, kind) for kind in before), (OFF, Faults.power_off))
    for seed in range(SEEDS):
        result = run(seed, plan=off, small=False)
        assert result.violations == [], seed
        yield {entry[5] for entry in result.trace if entry[1] == "owner" and entry[0] >= OFF}


@pytest.mark.parametrize("before", [(), (slow(0.5, 0.9),), (cut_short,), (held_up,)])
def test_nothing_is_taken_by_force(before: tuple[Kind, ...]) -> None:
    found = {why for each in reasons(*before) for why in each}
    assert "handover" in found
    assert not ({"released"} | FORCED) & found


def test_a_farewell_on_the_session_of_beats_looks_like_a_death() -> None:
    until = Beats._until

    async def between(self: Beats, done: Callable[[], Awaitable[bool]]) -> None:
        async def locked() -> bool:
            async with self._session._lock:
                return await done()

        await until(self, locked)

    with patched([(Beats, "_until", between)]):
        assert any(FORCED & found for found in reasons(held_up))


def test_with_one_lease_to_hand_over_a_slow_disk_is_overdue() -> None:
    with patched([(planning, "HANDOVER_LEASES", 1)]):
        assert any("overdue" in found for found in reasons(slow(0.5, 0.9)))

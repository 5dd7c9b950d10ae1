"""PostgreSQL is back: how long until every slot sends again, in virtual time.

What the campaign measures on a machine that is also busy with other things; here only what the
processes themselves wait for counts: retries, back-offs, leases, renewals.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.campaigns.simulation.faults import Faults
from tests.campaigns.simulation.world import run
from tests.harness.patch import patched
from warouter._hash import SLOTS
from warouter.cluster.role import SlotState
from warouter.owner import beats, moves

SEEDS = 15
KILLED = 6.0  # true seconds
PROMISED = 1.0
LOOK = 0.01
DOWN = (0.3, 1.2, 3.0)  # shorter than a lease, about as long, longer


def seconds_to_return(seed: int) -> float:
    """From the moment that the database accepts connections."""
    found: list[float] = []

    def kill(faults: Faults, random: Random) -> bool:
        clock, server = faults.world.clock, faults.world.server
        server.stop()
        clock.at(clock.now + DOWN[seed % len(DOWN)] * random.uniform(0.8, 1.2), back, faults.world)
        return True

    def back(world: Any) -> None:
        world.server.start(promoted=False)
        look(world, world.clock.now)

    def look(world: Any, since: float) -> None:
        if all(_sends(world, slot) for slot in range(SLOTS)):
            found.append(world.clock.now - since)
        else:
            world.clock.at(world.clock.now + LOOK, look, world, since)

    result = run(seed, KILLED + 12.0, plan=((KILLED, kill),))
    assert result.violations == []
    assert found, "not every slot came back"
    return found[0]


def _sends(world: Any, slot: int) -> bool:
    """Its owner would send a message that came just now."""
    owner = world.tables.owners[slot]
    for process in world.processes.values():
        if process.incarnation == owner and process.alive and process.node is not None:
            held = process.node.ownership.slots.get(slot)
            active = held is not None and held.state is SlotState.ACTIVE and held.claimed
            return bool(active and process.node.ownership.may_act(slot))
    return False


def test_every_slot_sends_soon_after_the_database_is_back() -> None:
    late = {seed: took for seed in range(SEEDS) if (took := seconds_to_return(seed)) > PROMISED}
    assert not late


def test_without_haste_to_look_again_it_takes_longer() -> None:
    rare = [(module, "RETRY_SECONDS", 4 * PROMISED) for module in (beats, moves)]
    with patched(rare):
        assert any(seconds_to_return(seed) > PROMISED for seed in range(6))

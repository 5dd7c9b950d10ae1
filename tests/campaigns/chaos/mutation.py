"""``python -m tests.campaigns.chaos.mutation``: a build that lacks one mechanism is found

Each scenario runs twice, with the product and with a mutant of it. The product must pass, the
mutant must fail with the invariant that its mechanism is for.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from tests.campaigns.chaos import campaign, told
from tests.campaigns.chaos.doors.cloud import CloudDoor
from tests.campaigns.chaos.doors.native import NativeDoor
from tests.campaigns.chaos.lab import Lab, Size
from tests.campaigns.chaos.network import enter_namespace
from tests.harness import mutants
from tests.harness.mutants import MUTANTS

_NO_CHECK = """
create or replace function held_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile as $$ begin return p_slots; end $$"""


async def nothing(_lab: Lab) -> None:
    """No preparation."""


async def slow_upstream(lab: Lab) -> None:
    """Answers come late, so that lanes are long when an owner dies."""
    await lab.faults(latency_ms=500)


async def slow_graph(lab: Lab) -> None:
    """Requests are out when a slot moves, for longer than a drain."""
    await lab.faults(latency_ms=600, latency_most_ms=1200)


async def late_statuses(lab: Lab) -> None:
    """Evidence comes within the window, and not at once."""
    await lab.faults(sent_ms=1500, delivered_ms=1600, read_ms=1700)


async def forgetful_upstream(lab: Lab) -> None:
    """The upstream takes what anybody sends: only the owner itself can stop."""
    await lab.faults(latency_ms=400, forget_fence=True)


async def unchecked_database(lab: Lab) -> None:
    """The other half of ``no_fence``."""
    await lab.database.sql(_NO_CHECK)


Preparation = Callable[[Lab], Awaitable[None]]


class Scenario(NamedTuple):
    """``roles`` run the mutant; ``only_mutant`` is prepared for the mutant alone. ``finds``: what
    the judge must say one of, if not that the mutant's invariants are broken.
    """

    mutant: str
    faults: tuple[str, ...]
    finds: tuple[str, ...] = ()
    roles: tuple[str, ...] = ("coreapp",)
    prepare: Preparation = nothing
    only_mutant: Preparation = nothing
    door: type[CloudDoor | NativeDoor] = NativeDoor

    def caught(self, said: Sequence[str]) -> bool:
        wanted = self.finds or MUTANTS[self.mutant].breaks
        return any(re.search(rf"\b{one}\b", what) for what in said for one in wanted)


SCENARIOS = (
    Scenario("ack_before_commit", ("kill-owner",) * 4),
    Scenario("event_acked_at_once", ("kill-owner",) * 4),
    Scenario("backlog_comes_later", ("kill-owner",) * 4, prepare=slow_upstream),
    Scenario("no_deadline", ("wake-late",) * 4, ("I3",), prepare=forgetful_upstream),
    Scenario(
        "no_fence",
        ("stall-statements",) * 4,
        ("I2", "I1"),  # the stale write itself, or a message that it has buried
        roles=("master",),
        only_mutant=unchecked_database,
    ),
    Scenario(
        "cloud_waits_for_no_evidence",
        ("cloud-takes-and-drops",) * 2,
        ("before its window was over",),
        prepare=late_statuses,
        door=CloudDoor,
    ),
    Scenario(
        "cloud_slots_move_at_once",
        ("set-shards",) * 3,
        ("in doubt",),
        roles=("master",),
        prepare=slow_graph,
        door=CloudDoor,
    ),
    Scenario("one_resolver", ("silent-names",), ("did not find its database",)),
)


def program(mutant: str, roles: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """What a role runs: the mutant where its mechanism lives, the product elsewhere."""
    build = mutants.program(mutant)
    return lambda role: build if role in roles else ("-m", "warouter")


async def found(scenario: Scenario, *, mutated: bool, seed: int) -> list[str]:
    """What the judge says of the scenario."""
    options: dict[str, Any] = (
        {"program": program(scenario.mutant, scenario.roles)} if mutated else {}
    )
    rate = 800.0 if scenario.door is NativeDoor else 200.0
    door = scenario.door()
    lab = Lab(Size(coreapps=4, masters=2, rate=rate), seed, door=door, **options)
    try:
        await lab.start()
        await scenario.prepare(lab)
        if mutated:
            await scenario.only_mutant(lab)
        return (await campaign.run(lab, scenario.faults)).wrong
    finally:
        await lab.stop(keep=False)


async def main(names: list[str], seed: int) -> int:
    failed = 0
    for scenario in SCENARIOS:
        if names and scenario.mutant not in names:
            continue
        product = await found(scenario, mutated=False, seed=seed)
        mutant = await found(scenario, mutated=True, seed=seed)
        caught = scenario.caught(mutant)
        failed += bool(product) or not caught
        print(f"{scenario.mutant:<28}{'caught' if caught else 'NOT CAUGHT':<12}{mutant}")
        print(
            f"{'  the product':<28}{'passes' if not product else 'FAILS':<12}{product}", flush=True
        )
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.chaos.mutation", description=__doc__
    )
    parser.add_argument("mutants", nargs="*", help="these only")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    enter_namespace()
    sys.exit(told.run(main(given.mutants, given.seed)))

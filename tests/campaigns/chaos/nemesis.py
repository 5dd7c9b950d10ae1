"""A fault: a coroutine that hurts a cluster and heals it, with the mark that tells of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark

Act = Callable[[Lab, Mark], Awaitable[None]]
Victims = Callable[[Lab], Awaitable[list[str]]]


class Nemesis(NamedTuple):
    """``needs`` names the networks that must be cuttable here, or what else there must be."""

    name: str
    run: Callable[[Lab], Awaitable[Mark]]
    needs: tuple[str, ...]


async def an_owner(lab: Lab) -> list[str]:
    """A coreapp that owns something, drawn."""
    owners = await lab.database.owners()
    return [lab.random.choice(sorted(n for n in owners if lab.process(n).alive))]


async def a_coreapp(lab: Lab) -> list[str]:
    return [lab.random.choice(lab.running("coreapp")).name]


async def the_leader(lab: Lab) -> list[str]:
    return [await lab.leader()]


async def a_master(lab: Lab) -> list[str]:
    """The leader every second time."""
    masters = [p.name for p in lab.running("master")]
    return [await lab.leader() if lab.random.random() < 0.5 else lab.random.choice(masters)]


async def a_webapp(lab: Lab) -> list[str]:
    return [lab.random.choice(lab.running("webapp")).name]


async def two_coreapps(lab: Lab) -> list[str]:
    return lab.random.sample([process.name for process in lab.running("coreapp")], 2)


def fault(name: str, act: Act, *needs: str, of: Iterable[Victims] = ()) -> Nemesis:
    """To these victims; its mark is made before it acts."""

    async def run(lab: Lab) -> Mark:
        mark = await begin(lab, name, [one for find in of for one in await find(lab)])
        try:
            await act(lab, mark)
        except Exception as error:
            mark.wrong.append(f"could not be done: {error!r}")
        mark.healed = time.monotonic()
        return mark

    return Nemesis(name, run, needs)


def nemesis(*needs: str, of: Iterable[Victims] = ()) -> Callable[[Act], Nemesis]:
    """A fault by the name of its function."""
    return lambda act: fault(act.__name__.replace("_", "-"), act, *needs, of=of)


def repeated(times: int, act: Act, pause: float = 0.0) -> Act:
    """So often, with so many seconds after each."""

    async def again_and_again(lab: Lab, mark: Mark) -> None:
        for _ in range(times):
            await act(lab, mark)
            await asyncio.sleep(pause)

    return again_and_again


def fence_as_drawn(act: Act) -> Act:
    """Half of the times the upstream takes what anybody sends: only the owner itself can stop."""

    async def acts(lab: Lab, mark: Mark) -> None:
        mark.fence = lab.random.random() >= 0.5
        if lab.door.fences:
            await lab.faults(forget_fence=not mark.fence)
        await act(lab, mark)

    return acts


async def begin(lab: Lab, kind: str, names: list[str]) -> Mark:
    """The mark of a fault that is about to happen, with what its victims own."""
    owners = await lab.database.owners()
    owned = {slot: epoch for name in names for slot, epoch in owners.get(name, {}).items()}
    return Mark(
        kind=kind,
        victims=names,
        owned=owned,
        count=(await lab.database.map()).shards,
        wall=time.time(),
        at=time.monotonic(),
    )


def begins(mark: Mark) -> None:
    """Only now: what was done before prepared it."""
    mark.at, mark.wall = time.monotonic(), time.time()

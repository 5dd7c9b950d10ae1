"""The registry of faults: each is a coroutine that hurts a cluster, heals it, and says so."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark

Run = Callable[[Lab], Awaitable[Mark]]


class Nemesis(NamedTuple):
    """``needs`` names the networks that must be cuttable here."""

    name: str
    run: Run
    needs: tuple[str, ...]


NEMESES: dict[str, Nemesis] = {}


def nemesis(name: str, *needs: str) -> Callable[[Run], Run]:
    """Register a fault by name."""

    def register(run: Run) -> Run:
        NEMESES[name] = Nemesis(name, run, needs)
        return run

    return register


async def begin(lab: Lab, kind: str, victims: Iterable[str] = ()) -> Mark:
    """The mark of a fault that is about to happen, with what its victims own."""
    names = list(victims)
    owners = await lab.owners()
    owned = {slot: epoch for name in names for slot, epoch in owners.get(name, {}).items()}
    return Mark(
        kind=kind,
        victims=names,
        owned=owned,
        count=(await lab.map()).shards,
        wall=time.time(),
        at=time.monotonic(),
    )


def healed(mark: Mark) -> Mark:
    mark.healed = time.monotonic()
    return mark


async def an_owner(lab: Lab) -> str:
    """The name of a coreapp that owns something, drawn."""
    owners = await lab.owners()
    return lab.random.choice(sorted(n for n in owners if lab.process(n).alive))

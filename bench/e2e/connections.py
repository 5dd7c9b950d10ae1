"""Accepted messages a second over the number of connections, beside the floor and the naive server.

As in ``accepts`` the upstream is paused. A plot is made of it (``bench.report``).
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from bench.e2e.accepts import WARM_SECONDS, Others, paused
from bench.e2e.extent import Extent
from bench.e2e.rounds import Rounds, Side, rounds
from bench.e2e.site import Found, site

ROUNDS = 2  # a plot needs no more
SECONDS = 1.5
MANY = 64  # connections of the warm-up


async def measure(folder: Path, until: float, extent: Extent) -> tuple[Found, list[str]]:
    """The figures of this part, and what was wrong."""
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(site(folder, extent.build, shards=2))
        others = Others(here)
        await others.start(stack, folder)
        sides: dict[str, Side] = {}
        for n in extent.connections:
            sides[f"this{n}"] = partial(paused, here, n, SECONDS)
            for name in ("floor", "naive"):
                sides[f"{name}{n}"] = partial(others.measured, name, n, SECONDS)
        await paused(here, MANY, WARM_SECONDS)
        for name in ("floor", "naive"):
            await others.measured(name, MANY, WARM_SECONDS)
        found = await rounds(sides, until, min(ROUNDS, extent.rounds))
        wrong = await here.check("connections") + await others.check()
    return _figures(found, extent.connections), wrong


def _figures(found: Rounds, connections: tuple[int, ...]) -> Found:
    def of(side: str, what: str) -> dict[str, float]:
        return {str(n): round(found.median(f"{side}{n}", what), 2) for n in connections}

    return {
        "connections_per_s": {side: of(side, "per_s") for side in ("this", "floor", "naive")},
        "connections_p99_ms": of("this", "p99_ms"),
        "foreign_cores": {"connections": found.foreign_cores},
        "noisy_rounds": {"connections": found.noisy},
    }

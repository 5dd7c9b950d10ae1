"""A million messages while the upstream takes none: intake, memory, and how they drain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

from bench.e2e.extent import Extent
from bench.e2e.site import QUIET, Found, Site, say, site

CONNECTIONS = 256
NORMAL_SECONDS = 3.0
NORMAL_RUNS = 3
MOST_SECONDS = 300.0
SAMPLE_SECONDS = 0.5


async def measure(folder: Path, _until: float, extent: Extent) -> tuple[Found, list[str]]:
    """The figures of this part, and what was wrong."""
    async with site(folder, extent.build) as here:
        await here.faults(**QUIET)
        normal = [await _normal(here) for _ in range(NORMAL_RUNS)]
        before = _coreapps(here)
        with _most(here) as most:
            await here.faults(pause=True)
            order = here.order(CONNECTIONS, MOST_SECONDS, count=extent.backlog, lives=False)
            found = await here.measured(order, drain=False)
            began = time.monotonic()
            await here.faults(pause=False)
            drained = await here.drained()
            seconds = time.monotonic() - began
        extra = {name: mib - before[name] for name, mib in most.items()}
        wrong = await here.check("backlog")
    rates = _rates(found)
    say(
        f"  intake {found['per_s']:,.0f}/s, normal {median(normal):,.0f}/s;"
        f" drained in {seconds:.0f} s; extra MiB {extra}"
    )
    return {
        "backlog": {
            "messages": found["accepted"],
            "intake": round(found["per_s"] / median(normal), 3),
            "intake_last_tenth": round(median(rates[-len(rates) // 10 :]) / median(normal), 3),
            "intake_per_s": round(found["per_s"]),
            "normal_per_s": round(median(normal)),
            "extra_mib": round(max(extra.values()), 1),
            "drained": drained,
            "drain_per_s": round(found["accepted"] / seconds),
        },
        "foreign_cores": {"backlog": round(found["foreign_cores"], 2)},
    }, wrong


async def _normal(here: Site) -> float:
    """Accepted a second while the upstream takes them."""
    found = await here.measured(here.order(CONNECTIONS, NORMAL_SECONDS, warm_up=0.3, lives=False))
    return float(found["per_s"])


def _coreapps(here: Site) -> dict[str, float]:
    return {name: mib for name, mib in here.resident().items() if name.startswith("coreapp")}


@contextmanager
def _most(here: Site) -> Iterator[dict[str, float]]:
    """The greatest resident memory of each coreapp meanwhile, MiB."""
    most = _coreapps(here)

    async def look() -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            for name, mib in _coreapps(here).items():
                most[name] = max(mib, most[name])

    looking = asyncio.create_task(look())
    try:
        yield most
    finally:
        looking.cancel()


def _rates(found: Found) -> list[float]:
    """Accepted a second, by half seconds."""
    pairs = pairwise(found["progress"])
    return [(n - before) / (at - since) for (since, before, _), (at, n, _) in pairs]

"""Full life cycles for five minutes: their rate, and what they do to memory and PostgreSQL.

201, sent, delivered, read, and a callback for each of the three. At most so many messages are open
at a time, so the backlog is flat. The first minute gives the rate; memory must not grow after it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from statistics import median

from bench import machine
from bench.client import INTERVAL
from bench.e2e.extent import Extent
from bench.e2e.site import LOUD, Found, Site, say, site

MOST_OPEN = 4_000
CONNECTIONS = 256
MINUTE = 60.0
MINUTES = 5
WARM_UP = 3.0
IDLE_SECONDS = 5.0
SAMPLE_SECONDS = 1.0
EDGE = 15  # samples at both ends of what must not grow


class Samples:
    """Once a second: memory by process, connections by process."""

    def __init__(self, here: Site) -> None:
        self._here = here
        self.resident: dict[str, list[float]] = defaultdict(list)
        self.connections: Counter[str] = Counter()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Meanwhile; what goes wrong with them is raised at the end."""
        stop = asyncio.Event()
        taking = asyncio.create_task(self._take(stop))
        try:
            yield
        finally:
            stop.set()  # not cancelled: its query would be left half done
            await taking

    async def _take(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for name, mib in self._here.resident().items():
                self.resident[name].append(mib)
            self.connections |= await self._here.connections()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SAMPLE_SECONDS)

    def growth(self) -> dict[str, float]:
        """By process, as a part of what it was, over all but the first minute."""
        return {name: _growth(mib[len(mib) // MINUTES :]) for name, mib in self.resident.items()}


async def measure(folder: Path, _until: float, extent: Extent) -> tuple[Found, list[str]]:
    """The figures of this part, and what was wrong."""
    async with site(folder, extent.build) as here:
        await here.faults(**LOUD)
        await asyncio.sleep(IDLE_SECONDS)
        idle = here.resident()
        beside = _beside(here)
        samples = Samples(here)
        order = here.order(CONNECTIONS, extent.life_seconds, warm_up=WARM_UP, most_open=MOST_OPEN)
        async with samples.taken():
            found = await here.measured(order)
        figures = _figures(found, samples, idle)
        figures["rss_beside_mib"] = {
            **{f"{n}_idle": mib for n, mib in beside.items()},
            **{f"{n}_full": mib for n, mib in _beside(here).items()},
        }
        wrong = await here.check("life cycles")
    return figures, wrong


def _figures(found: Found, samples: Samples, idle: dict[str, float]) -> Found:
    full = {name: max(mib) for name, mib in samples.resident.items()}
    growth = samples.growth()
    minutes = _minutes(found)
    for name, mib in full.items():
        say(f"  {name}: {idle[name]:.0f} MiB idle, {mib:.0f} at most, grew {growth[name]:.1%}")
    say(f"  life cycles/s by minute: {minutes}; open {found['open_at_end']:,} at the end")
    connections = samples.connections
    return {
        "lifecycles_per_s": minutes[0],
        "lifecycles_by_minute": {str(n): rate for n, rate in enumerate(minutes, 1)},
        "lifecycle_open": {"before": found["open_at_start"], "after": found["open_at_end"]},
        "lifecycle_cpu_us": found["cpu"],
        "pg_us": found["cpu"]["postgres"],
        "pg_connections": max(connections.values()),
        "pg_connections_by": dict(sorted(connections.items())),
        "rss_mib": {
            "idle": max(idle.values()),
            "full": max(full.values()),
            "growth": round(max(growth.values()), 4),
        },
        "rss_by_mib": full,
        "foreign_cores": {"lifecycles": round(found["foreign_cores"], 2)},
    }


def _minutes(found: Found) -> list[int]:
    """Whole life cycles a second, minute by minute from the end of the warm-up."""
    marks = [(0.0, found["whole_at_start"])]
    for at, _accepted, whole in found["progress"]:
        if at >= len(marks) * MINUTE - INTERVAL:  # the last count is just before the end
            marks.append((at, whole))
    if len(marks) == 1:  # less than a minute was asked for
        at, _accepted, whole = found["progress"][-1]
        marks.append((at, whole))
    pairs = pairwise(marks)
    return [round((whole - before) / (at - since)) for (since, before), (at, whole) in pairs]


def _growth(mib: list[float]) -> float:
    return median(mib[-EDGE:]) / median(mib[:EDGE]) - 1


def _beside(here: Site) -> dict[str, float]:
    pids = here.pids()
    return {name: machine.resident_mib(pids[name]) for name in ("simulator", "postgres", "load")}

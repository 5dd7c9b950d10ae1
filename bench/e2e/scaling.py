"""Where the upstream is the limit: messages a second by shards, each on a coreapp of its own.

One cluster grows as an operator grows it: coreapps are added, one more than shards, and the number
of shards is set while it runs. At each number a backlog is made while the upstream is paused; then
the simulator takes 250 messages a second and connection, each answer 50 ms later, and what it takes
is counted in windows. It reports no status, so that the two cores carry as many shards as they can.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median

from bench import machine
from bench.e2e.extent import Extent
from bench.e2e.site import PRODUCT, QUIET, Found, Site, say, site
from bench.order import Load
from warouter._hash import SLOTS, slot_of
from warouter.store.nodes import read_map

RATE, LATENCY_MS = 250, 50
WINDOW_SECONDS = 2.0
LEAD_SECONDS = 2.0  # until the windows begin
SPARE_SECONDS = 2.0  # of backlog, so that no shard runs out of it
SETTLE_SECONDS = 60.0
FILL_SECONDS = 60.0
CONNECTIONS = 256
PER_SLOT = 64  # recipients: so many can be out at once in a slot
# With less of the cores idle than this part, they are the limit and not the upstream.
IDLE = 0.05


async def measure(folder: Path, _until: float, extent: Extent) -> tuple[Found, list[str]]:
    """The figures of this part, and what was wrong."""
    points: dict[int, Found] = {}
    async with site(folder, shards=1, coreapps=2) as here:
        for shards in extent.shards:
            points[shards] = await _point(here, shards, extent.windows)
            say(f"  {shards} shards: " + ", ".join(f"{n} {v:g}" for n, v in points[shards].items()))
        wrong = await here.check("scaling")
    return _figures(points), wrong


async def _point(here: Site, shards: int, windows: int) -> Found:
    await _grow(here, shards)
    seconds = LEAD_SECONDS + windows * WINDOW_SECONDS + SPARE_SECONDS
    await here.faults(**QUIET, pause=True)
    await here.run(_backlog(here, round(RATE * shards * seconds)))
    await here.faults(rate=RATE, latency_ms=LATENCY_MS, pause=False)
    await asyncio.sleep(LEAD_SECONDS)
    before, foreign, busy = here.cpu(), machine.foreign_seconds(), machine.idle_seconds()
    began, counted = time.monotonic(), await _taken(here)
    first, since = counted, began
    rates = []
    for _ in range(windows):
        await asyncio.sleep(WINDOW_SECONDS)
        taken, now = await _taken(here), time.monotonic()
        rates.append((taken - counted) / (now - since))
        counted, since = taken, now
    lasted = since - began
    idle = (machine.idle_seconds() - busy) / lasted
    cpu = machine.per_message_us(before, here.cpu(), counted - first)
    foreign = (machine.foreign_seconds() - foreign) / lasted
    await here.faults(rate=0, latency_ms=0)
    await here.drained()
    return {
        "per_s": round(median(rates), 1),
        "idle_cores": round(max(0.0, idle), 2),
        "foreign_cores": round(max(0.0, foreign), 2),
        "cpu_us": round(sum(us for n, us in cpu.items() if n.startswith((*PRODUCT, "postgres")))),
    }


async def _grow(here: Site, shards: int) -> None:
    """One coreapp more than shards, and each shard on one of its own."""
    running = sum(name.startswith("coreapp") for name in here.product())
    if running < shards + 1:
        await here.cluster.add_coreapps(shards + 1 - running)
    if shards > 1:
        await here.set_shards(shards)
    async with asyncio.timeout(SETTLE_SECONDS):
        while True:
            current = await read_map(here.database)
            if current.settled and len({slot.owner for slot in current.slots}) == shards:
                return
            await asyncio.sleep(0.1)


def _backlog(here: Site, count: int) -> Load:
    """As many messages for each slot."""
    found: list[list[int]] = [[] for _ in range(SLOTS)]
    number = 0
    while min(map(len, found)) < PER_SLOT:
        found[slot_of(f"49151{number:08d}")].append(number)
        number += 1
    numbers = [numbers[n] for n in range(PER_SLOT) for numbers in found]
    return here.order(CONNECTIONS, FILL_SECONDS, count=count, numbers=numbers, lives=False)


async def _taken(here: Site) -> int:
    record = await here.simulator("GET", "record")
    return int(record["unique"])


def _limited(point: Found) -> bool:
    """By the cores, and not by the upstream."""
    return bool(point["idle_cores"] < IDLE * machine.CORES)


def _figures(points: dict[int, Found]) -> Found:
    ratios = {n: point["per_s"] / (RATE * n) for n, point in points.items()}
    free = [ratios[n] for n, point in points.items() if not _limited(point)]
    return {
        "shard_scaling": {
            **{str(n): point["per_s"] for n, point in points.items()},
            "linear": round(min(free), 3) if free else 0.0,
            "linear_all": round(min(ratios.values()), 3),
            "limited_from": next((n for n, p in points.items() if _limited(p)), 0),
        },
        "shard_scaling_idle_cores": {str(n): p["idle_cores"] for n, p in points.items()},
        "shard_scaling_cpu_us": {str(n): p["cpu_us"] for n, p in points.items()},
        "foreign_cores": {"scaling": max(p["foreign_cores"] for p in points.values())},
    }

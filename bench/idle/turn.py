"""One turn of a build: a fresh cluster at rest, at fixed rates, and at full load."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import NamedTuple

from bench.e2e.lives import MOST_OPEN
from bench.e2e.site import LOUD, Found, Site, site
from bench.idle.delays import callback_delays, percentiles
from bench.idle.window import by_kind, window

SHARDS, COREAPPS, MASTERS = 2, 3, 2
CONNECTIONS = 64
FULL_CONNECTIONS = 256
WARM_RATE, WARM_SECONDS = 200.0, 2.0
SETTLE_SECONDS = 3.0  # after load, before a cluster counts as being at rest
LEAD_SECONDS = 1.5  # of load, before the window
TAIL_SECONDS = 0.5  # of load, after it
FULL = "full"


class Length(NamedTuple):
    """How long each window is, in seconds, and the rates in messages a second."""

    idle: float = 12.0
    paced: float = 10.0
    full: float = 4.0
    rates: tuple[int, ...] = (80, 1000)


async def turn(folder: Path, build: Path | None, length: Length) -> tuple[Found, list[str]]:
    """Its figures, and what was wrong; ``build`` is another clone, None is this one."""
    options = {"shards": SHARDS, "coreapps": COREAPPS, "masters": MASTERS}
    async with site(folder, build, **options) as here:
        await here.faults(**LOUD)
        await paced(here, WARM_RATE, WARM_SECONDS)
        await asyncio.sleep(SETTLE_SECONDS)
        idle = await window(here, length.idle)
        loaded = {str(rate): await paced(here, rate, length.paced) for rate in length.rates}
        loaded[FULL] = await full(here, length.full)
        found = figures(idle, loaded)
        found["rss_mib"] = here.resident()
        return found, await here.check("idle")


async def paced(here: Site, rate: float, seconds: float) -> Found:
    """Requests at that rate whether answers come or not; until every callback has come."""
    order = here.order(
        CONNECTIONS,
        seconds + TAIL_SECONDS,
        warm_up=LEAD_SECONDS,
        per_second=float(rate),
        heard=True,
    )
    posts, began = (await here.counts())["posts"], time.monotonic()
    running = asyncio.create_task(here.run(order))
    await asyncio.sleep(LEAD_SECONDS)
    used = await window(here, seconds)
    found = await running
    await here.drained()
    posts = (await here.counts())["posts"] - posts
    return {
        "cpu_ms": {kind: cores / found["per_s"] * 1000 for kind, cores in used["cores"].items()},
        "accepted_ms": {"p50": found["p50_ms"], "p99": found["p99_ms"]},
        "callback_ms": percentiles(await callback_delays(here, began + LEAD_SECONDS)),
        "late_ms": found["late_p99_ms"],
        "per_s": found["per_s"],
        "transactions": used["transactions"],
        "wake_ups": used["wake_ups"],
        "posts": posts / found["accepted"],
        "foreign_cores": used["foreign_cores"],
    }


async def full(here: Site, seconds: float) -> Found:
    """As much as goes, at most so many messages open; CPU from the first to the last callback."""
    order = here.order(FULL_CONNECTIONS, seconds, warm_up=LEAD_SECONDS, most_open=MOST_OPEN)
    posts = (await here.counts())["posts"]
    found = await here.measured(order)
    posts = (await here.counts())["posts"] - posts
    return {
        "cpu_ms": by_kind({name: us / 1000 for name, us in found["cpu"].items()}),
        "accepted_ms": {"p50": found["p50_ms"], "p99": found["p99_ms"]},
        "per_s": found["lives"] / found["seconds"],
        "posts": posts / found["accepted"],
        "foreign_cores": found["foreign_cores"],
    }


def figures(idle: Found, loaded: dict[str, Found]) -> Found:
    """By figure, then by rate; what a cluster at rest does counts in a message's CPU, too."""
    found: Found = {
        "idle_percent": {kind: cores * 100 for kind, cores in idle["cores"].items()},
        "idle_wake_ups": idle["wake_ups"],
        "idle_transactions": idle["transactions"],
        "foreign_cores": {
            name: one["foreign_cores"] for name, one in {"idle": idle, **loaded}.items()
        },
    }
    for name in ("cpu_ms", "accepted_ms", "callback_ms", "posts", "per_s", "wake_ups", "late_ms"):
        found[name] = {rate: one[name] for rate, one in loaded.items() if name in one}
    found["transactions"] = {
        rate: (one["transactions"] - idle["transactions"]) / one["per_s"]
        for rate, one in loaded.items()
        if "transactions" in one
    }
    return found

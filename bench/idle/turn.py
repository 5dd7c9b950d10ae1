"""One turn: a fresh cluster at rest, at fixed rates, and at full load."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

from bench.e2e.lives import MOST_OPEN
from bench.e2e.site import LOUD, Found, Site, site
from bench.idle.delays import callback_delays, percentiles, taken
from bench.idle.window import used
from bench.order import Load

SHARDS, COREAPPS, MASTERS = 2, 3, 2
CONNECTIONS = 64
FULL_CONNECTIONS = 256
WARM_RATE, WARM_SECONDS = 200, 2.0
SETTLE_SECONDS = 3.0  # after load, before a cluster counts as being at rest
LEAD_SECONDS = 1.0  # of load, before times count
FULL = "full"


class Length(NamedTuple):
    """How long each stretch is, in seconds, and the rates in messages a second."""

    idle: float = 10.0
    paced: float = 9.0
    full: float = 4.0
    rates: tuple[int, ...] = (80, 1000)


def cluster(folder: Path, build: Path | None = None) -> AbstractAsyncContextManager[Site]:
    """A cluster below ``folder``; ``build`` is another clone, None is this one."""
    return site(folder, build, shards=SHARDS, coreapps=COREAPPS, masters=MASTERS)


async def turn(
    running: AbstractAsyncContextManager[Site], length: Length
) -> tuple[Found, list[str]]:
    """Its figures, and what was wrong."""
    async with running as here:
        await here.faults(**LOUD)
        await lives(here, paced(here, WARM_RATE, WARM_SECONDS))
        await asyncio.sleep(SETTLE_SECONDS)
        idle = await used(here, asyncio.sleep(length.idle))
        loaded = {
            str(rate): await lives(here, paced(here, rate, length.paced)) for rate in length.rates
        }
        loaded[FULL] = await lives(here, full(here, length.full))
        found = figures(idle, loaded)
        found["rss_mib"] = here.resident()
        return found, await here.check("idle")


def paced(here: Site, rate: int, seconds: float) -> Load:
    """Requests at that rate, whether answers come or not."""
    pace = {"per_second": float(rate), "heard": True}
    return here.order(CONNECTIONS, seconds, warm_up=LEAD_SECONDS, **pace)


def full(here: Site, seconds: float) -> Load:
    """As many as go, at most so many of them open."""
    return here.order(FULL_CONNECTIONS, seconds, warm_up=LEAD_SECONDS, most_open=MOST_OPEN)


async def lives(here: Site, order: Load) -> Found:
    """Whole lives, from the first request to the last callback; what is used meanwhile counts."""
    found: Found = {}

    async def load() -> None:
        found.update(await here.run(order))
        await here.drained()

    began, posts = time.monotonic(), (await here.counts())["posts"]
    spent = await used(here, load())
    posts = (await here.counts())["posts"] - posts
    messages = found["accepted"]
    one = {
        "cpu_ms": {kind: cpu / messages * 1000 for kind, cpu in spent["cpu"].items()},
        "accepted_ms": {"p50": found["p50_ms"], "p99": found["p99_ms"]},
        "per_s": found["lives"] / found["seconds"],
        "posts": posts / messages,
        "transactions": spent["transactions"],
        "wake_ups": {kind: n / messages for kind, n in spent["wake_ups"].items()},
        "foreign_cores": spent["foreign_cores"],
        "seconds": spent["seconds"],
        "messages": messages,
    }
    if order.heard:
        messages_taken = await taken(here, began + LEAD_SECONDS)
        one["callback_ms"] = percentiles(await callback_delays(here, messages_taken))
        one["late_ms"] = found["late_p99_ms"]
    return one


def figures(idle: Found, loaded: dict[str, Found]) -> Found:
    """By figure, then by rate; what a cluster at rest does counts in a message's CPU, too."""
    found: Found = {
        "idle_percent": {kind: cpu / idle["seconds"] * 100 for kind, cpu in idle["cpu"].items()},
        "idle_wake_ups": {kind: n / idle["seconds"] for kind, n in idle["wake_ups"].items()},
        "idle_transactions": idle["transactions"] / idle["seconds"],
        "foreign_cores": {
            name: one["foreign_cores"] for name, one in {"idle": idle, **loaded}.items()
        },
    }
    for name in ("cpu_ms", "accepted_ms", "callback_ms", "posts", "per_s", "wake_ups", "late_ms"):
        found[name] = {rate: one[name] for rate, one in loaded.items() if name in one}
    # Only a cluster has some at rest: elsewhere those of the load before are counted late.
    rest = found["idle_transactions"] if "master" in idle["cpu"] else 0.0
    found["transactions"] = {
        rate: (one["transactions"] - rest * one["seconds"]) / one["messages"]
        for rate, one in loaded.items()
    }
    return found

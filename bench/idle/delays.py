"""How long a callback takes: from when its status was due at the simulator to the webhook.

All times are of the monotonic clock of one host. A status is due a fixed time after its message was
taken; the simulator looks every 5 ms what is due, and that counts here, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.e2e.site import Found, Site
from bench.order import Command

LEVELS = ("sent", "delivered", "read")


async def taken(here: Site, since: float) -> dict[str, float]:
    """When each message was taken after ``since``, by id."""
    record = await here.simulator("GET", f"record?since={since!r}")
    return {message_id: at for at, _slot, message_id, _epoch in record["arrivals"]}


async def callback_delays(here: Site, taken: Mapping[str, float]) -> list[float]:
    """Seconds, of each callback of these messages that has come."""
    switches = await here.simulator("GET", "faults")
    heard = (await here.load.ask(Command(heard=True)))["heard"]
    return delays(taken, heard, {name: switches[f"{name}_ms"] / 1000 for name in LEVELS})


def delays(
    taken: Mapping[str, float], heard: Mapping[str, float], after: Mapping[str, float]
) -> list[float]:
    """Of each callback whose message was ``taken``; ``heard`` by id and status, all in seconds."""
    pairs = ((key.partition(" "), at) for key, at in heard.items())
    return [at - taken[i] - after[status] for (i, _, status), at in pairs if i in taken]


def percentiles(seconds: Iterable[float]) -> Found:
    """Milliseconds; zeros if there are none."""
    ordered = sorted(seconds) or [0.0]
    return {
        "p50": round(ordered[len(ordered) // 2] * 1000, 2),
        "p99": round(ordered[len(ordered) * 99 // 100] * 1000, 2),
    }

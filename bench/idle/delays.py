"""How long a callback takes: from when its status was due at the simulator to the webhook.

All times are of the monotonic clock of one host. A status is due a fixed time after its message was
taken; the simulator looks every 5 ms what is due, and that counts here, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.e2e.site import Found, Site
from bench.order import Command

LEVELS = ("sent", "delivered", "read")


async def callback_delays(here: Site, since: float) -> list[float]:
    """Seconds, of all messages that were taken after ``since`` and have all their callbacks."""
    switches = await here.simulator("GET", "faults")
    record = await here.simulator("GET", f"record?since={since!r}")
    heard = (await here.load.ask(Command(heard=True)))["heard"]
    taken = {message_id: at for at, _slot, message_id, _epoch in record["arrivals"]}
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

"""What a number's level allows, for minutes: the 201, the way to the request, the CPU.

``WAROUTER_CLOUD_RATE=auto`` keeps 5 % of the level back, so that 75 of 80 and 900 of 1,000 are all
but what is there: who is behind catches up slowly. There are as many owners as ``up`` starts. A
POST brings one status; at 1,000 also a hundred. Then the shim (``bench.cloud.shim``) gets the same
for a minute: what it bears of it, and its CPU.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.cloud.beside import Beside
from bench.cloud.extent import Extent
from bench.cloud.site import (
    LOAD_CONNECTIONS,
    ONE_EACH,
    PACKED,
    begun,
    below,
    cloud_site,
    cpu_us,
    now,
    requests,
    spread,
    taken,
    warm,
)
from bench.e2e.site import Found, say
from bench.idle.delays import callback_delays

RATES = {80: 75.0, 1000: 900.0}  # messages a second, by level
# By the name of each figure: the level, and how statuses come.
ROUNDS = {
    "80": (80, ONE_EACH),
    "1000": (1000, ONE_EACH),
    "1000_packed": (1000, PACKED),
}
OWNERS = 2
SECONDS, SHIM_SECONDS = 120.0, 60.0
LEAD_SECONDS = 3.0  # of load, before times count


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """By level, and what was wrong."""
    figures: Found = {"sustained": {}, "foreign_cores": {}}
    wrong: list[str] = []
    for name, (level, posts) in ROUNDS.items():
        switches = {"level": level, **posts}
        found, facts = await _at(below(folder, name), name, switches, extent.lasts(SECONDS))
        figures["foreign_cores"][f"sustained_{name}"] = found.pop("foreign_cores")
        figures["sustained"][name] = found
        wrong += facts
    return figures, wrong


async def _at(
    folder: Path, name: str, switches: dict[str, int], seconds: float
) -> tuple[Found, list[str]]:
    level = switches["level"]
    rate = RATES[level]
    async with cloud_site(folder, OWNERS, switches) as here:
        await warm(here, level)
        since = now()
        order = here.order(
            LOAD_CONNECTIONS,
            seconds,
            per_second=rate,
            times=True,
            heard=True,
            warm_up=LEAD_SECONDS,
        )
        found = await here.measured(order)
        whole = await requests(here, since)
        first, times = begun(whole), found["times"]
        lags = [
            first[i] - at for i, at in times.items() if i in first and at > since + LEAD_SECONDS
        ]
        figures: Found = {
            "accepted_ms": {p: round(found[f"{p}_ms"], 2) for p in ("p50", "p99", "most")},
            "begun_ms": spread(lags),
            "callback_ms": spread(await callback_delays(here, taken(whole))),
            "cpu_us": cpu_us(found),
            "open": {"before": found["open_at_start"], "after": found["open_at_end"]},
            "per_s": round(found["lives"] / found["seconds"], 1),
            "late_ms": round(found["late_p99_ms"], 2),
            "throttled": sum(
                request.outcome == "answered" and request.accepted is None
                for request in whole.requests
            ),
            "foreign_cores": round(found["foreign_cores"], 2),
        }
        say(f"  level {name}: {figures}")
        wrong = await here.check(f"sustained at {name}")
        if found["open_at_end"] > found["open_at_start"] + rate:
            wrong.append(f"sustained at {name}: the backlog grew to {found['open_at_end']}")
    shorter = msgspec.structs.replace(order, seconds=min(seconds, SHIM_SECONDS))
    async with Beside.running(below(folder, "beside"), switches) as beside:
        figures["shim"] = await beside.lives(shorter)
    return figures, wrong

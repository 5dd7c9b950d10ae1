"""How much of the number's budget eight owners use that all have a backlog, and what is refused.

The budget is what is left of the level when 5 % are kept back (``flow.share``); the door refuses
with 130429 what is above the level. Both are counted at the door, between two looks at its record.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench import machine
from bench.cloud.extent import Extent
from bench.cloud.site import LOAD_CONNECTIONS, below, cloud_site, now, warm
from bench.e2e.site import Found, Site, say
from warouter.flow.share import USED
from warouter.lab.simulator.cloud.graph.errors import RATE

OWNERS = 8
LEVELS = (80, 1000)
SECONDS = 60.0
# When a campaign begins the owners send too much until they have shared the rate, and then, once
# refused, too little: they regain it in 15 s (``flow.budget``).
SETTLE_SECONDS = 20.0
POST_SECONDS = 120.0
_NEVER_DRY = 0.8  # of the backlog is sent at most while it is measured


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """By level, and what was wrong."""
    figures: Found = {"budget": {}, "foreign_cores": {}}
    wrong: list[str] = []
    for level in LEVELS:
        async with cloud_site(below(folder, str(level)), OWNERS, {"level": level}) as here:
            await warm(here, level)
            await _post(here, extent.backlog)
            await asyncio.sleep(extent.lasts(SETTLE_SECONDS))
            found = await _used(here, level, extent.lasts(SECONDS))
        say(f"  level {level}: {found}")
        figures["foreign_cores"][f"budget_{level}"] = found.pop("foreign_cores")
        figures["budget"][str(level)] = found
        if not found["left"]:
            wrong.append(f"budget at {level}: the backlog was over before the end")
    return figures, wrong


async def _post(here: Site, count: int) -> None:
    """So many messages, each to somebody else, as fast as they are accepted."""
    order = here.order(LOAD_CONNECTIONS, POST_SECONDS, count=count, recipients=count, lives=False)
    await here.run(order)


async def _used(here: Site, level: int, seconds: float) -> Found:
    before, began = await here.simulator("GET", "record"), now()
    left = here.accepted - before["unique"]
    foreign = machine.foreign_seconds()
    await asyncio.sleep(min(seconds, _NEVER_DRY * left / level))
    after, ended = await here.simulator("GET", "record"), now()
    taken = after["accepted"] - before["accepted"]
    refused = _refused(after) - _refused(before)
    lasted = ended - began
    return {
        "per_s": round(taken / lasted, 1),
        "used": round(taken / lasted / (USED * level), 3),
        "refused": round(refused / max(1, taken + refused), 4),
        "seconds": round(lasted, 1),
        "left": here.accepted - after["unique"],
        "foreign_cores": round((machine.foreign_seconds() - foreign) / lasted, 2),
    }


def _refused(record: Found) -> int:
    return int(record["refused_codes"].get(str(RATE), 0))

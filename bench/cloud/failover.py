"""How long a message waits for a new owner after a kill, with nothing else on the machine.

In the storm (``bench.cloud.storm``) a proxy's process starts anew at the moment of each kill, and
that takes one of the two cores.

Three coreapps die in turn here, each far more often than twice in two minutes. The master trusts
such a coreapp late, so the owner that survives comes to have all slots, and every second kill is of
that one: two coreapps then open 16 slots each. ``every`` is of these kills, ``half`` of the others.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.cloud.extent import Extent
from bench.cloud.site import LOAD_CONNECTIONS, cloud_site, now, requests, spread, warm
from bench.cloud.storm import FAULTS, LEVEL, OWNERS, Kill, doubted, stood, storm
from bench.e2e.site import Found, say
from tests.campaigns.chaos.audit import watch_doubts
from warouter._hash import SLOTS

SECONDS, KILL_EVERY_SECONDS = 510.0, 5.0
# Of 76/s that the level of 80 leaves: what has waited for an owner does not wait for its turn, too.
RATE = 50.0


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """Milliseconds, of each kill the longest wait, and what was wrong."""
    async with cloud_site(folder, OWNERS, FAULTS) as here:
        await watch_doubts(here.database)
        await warm(here, LEVEL)
        since, seconds = now(), extent.lasts(SECONDS)
        order = here.order(LOAD_CONNECTIONS, seconds, per_second=RATE, times=True, asked=True)
        killing = asyncio.create_task(storm(here, seconds, KILL_EVERY_SECONDS))
        found = await here.measured(order)
        kills = await killing
        whole = await requests(here, since)
        ids = await doubted(here.database)

        def waits(of: list[Kill]) -> dict[str, float]:
            return spread(stood(whole.requests, found["asked"], of, ids))

        half = [kill for kill in kills if len(kill.slots) < SLOTS]
        every = [kill for kill in kills if len(kill.slots) == SLOTS]
        figures: Found = {
            "failover": {
                **waits(kills),
                "half": waits(half),
                "every": waits(every),
                "kills": len(kills),
            },
            "foreign_cores": {"failover": round(found["foreign_cores"], 2)},
        }
        say(f"  {figures}")
        return figures, await here.check("failover")

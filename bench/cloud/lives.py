"""Whole life cycles as fast as they go: Graph, webhooks, load and receiver on the same cores.

201, request, answer, three statuses by webhook, three callbacks; at most so many messages are open
at a time, so the backlog is flat. Nothing limits the rate but the cores. A POST brings one status,
then a hundred. The cluster and the shim (``bench.cloud.shim``) take turns, and medians count; the
shim is started for each of its turns, so that it costs the cluster nothing.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

from bench.cloud.beside import Beside
from bench.cloud.extent import Extent
from bench.cloud.site import FAST, ONE_EACH, PACKED, UNLIMITED, below, cloud_site, cpu_us, warm
from bench.e2e.lives import MOST_OPEN, WARM_UP
from bench.e2e.site import Found, Site
from bench.e2e.turns import in_turn
from bench.order import Load

OWNERS = 2
# Of each owner: as answers take 340 ms, those of 6,000 messages a second.
ENVIRONMENT = FAST | {"WAROUTER_CLOUD_CONNECTIONS": "1024"}
CONNECTIONS = 128
RECIPIENTS = 100_000
SECONDS, TURNS = 20.0, 3  # of each side
MOST_SECONDS = 600.0  # of all turns
ROUNDS = {"lives": ONE_EACH, "lives_packed": PACKED}  # how statuses come


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """The rate, its CPU, the shim's, and what was wrong."""
    figures: Found = {"foreign_cores": {}}
    wrong: list[str] = []
    for name, posts in ROUNDS.items():
        found, facts = await _with(below(folder, name), posts, extent)
        figures["foreign_cores"][name] = found.pop("foreign_cores")
        figures[name] = found
        wrong += [f"{name}: {fact}" for fact in facts]
    return figures, wrong


async def _with(folder: Path, posts: dict[str, int], extent: Extent) -> tuple[Found, list[str]]:
    switches, folders = {**UNLIMITED, **posts}, count()
    async with cloud_site(folder, OWNERS, switches, ENVIRONMENT) as here:
        await warm(here)
        order = here.order(
            CONNECTIONS,
            extent.lasts(SECONDS),
            most_open=MOST_OPEN,
            recipients=RECIPIENTS,
            warm_up=WARM_UP,
        )

        async def cluster() -> tuple[Found, list[str]]:
            return await _lives(here, order), []

        async def shim() -> tuple[Found, list[str]]:
            own = below(folder, f"beside-{next(folders)}")
            async with Beside.running(own, switches) as beside:
                return await beside.lives(order), []

        times = TURNS if extent.seconds >= SECONDS else 1  # shorter ones give no figures
        turns = await in_turn({"cluster": cluster, "shim": shim}, times, MOST_SECONDS)
        wrong = turns.wrong + await here.check("life cycles")
    found = turns.medians()
    figures: Found = found.get("cluster", {})
    figures |= {"shim": found.get("shim", {}), "by_shim": turns.ratios("cluster", "shim")}
    foreign = [one["foreign_cores"] for side in turns.turns.values() for one in side.values()]
    return figures | {"foreign_cores": max(foreign, default=0.0)}, wrong


async def _lives(here: Site, order: Load) -> Found:
    found = await here.measured(order)
    return {
        "per_s": round(found["lives"] / found["seconds"]),
        "cpu_us": cpu_us(found),
        "foreign_cores": round(found["foreign_cores"], 2),
    }

"""Whole life cycles as fast as they go: Graph, webhooks, load and receiver on the same cores.

201, request, answer, three statuses by webhook, three callbacks; at most so many messages are open
at a time, so the backlog is flat. Nothing limits the rate but the cores. A POST brings one status,
then a hundred.
"""

from __future__ import annotations

from pathlib import Path

from bench.cloud.extent import Extent
from bench.cloud.site import FAST, ONE_EACH, PACKED, UNLIMITED, below, cloud_site, cpu_us, warm
from bench.e2e.lives import MOST_OPEN, WARM_UP
from bench.e2e.site import Found

OWNERS = 2
# Of each owner: as answers take 340 ms, those of 6,000 messages a second.
ENVIRONMENT = FAST | {"WAROUTER_CLOUD_CONNECTIONS": "1024"}
CONNECTIONS = 128
RECIPIENTS = 100_000
SECONDS = 60.0
ROUNDS = {"lives": ONE_EACH, "lives_packed": PACKED}  # how statuses come


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """The rate, its CPU, and what was wrong."""
    figures: Found = {"foreign_cores": {}}
    wrong: list[str] = []
    for name, posts in ROUNDS.items():
        found, facts = await _with(below(folder, name), posts, extent)
        figures["foreign_cores"][name] = found.pop("foreign_cores")
        figures[name] = found
        wrong += [f"{name}: {fact}" for fact in facts]
    return figures, wrong


async def _with(folder: Path, posts: dict[str, int], extent: Extent) -> tuple[Found, list[str]]:
    async with cloud_site(folder, OWNERS, {**UNLIMITED, **posts}, ENVIRONMENT) as here:
        await warm(here)
        found = await here.measured(
            here.order(
                CONNECTIONS,
                extent.lasts(SECONDS),
                most_open=MOST_OPEN,
                recipients=RECIPIENTS,
                warm_up=WARM_UP,
            )
        )
        figures: Found = {
            "per_s": round(found["lives"] / found["seconds"]),
            "cpu_us": cpu_us(found),
            "foreign_cores": round(found["foreign_cores"], 2),
        }
        return figures, await here.check("life cycles")

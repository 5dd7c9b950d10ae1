"""Whole life cycles as fast as they go: Graph, webhooks, load and receiver on the same cores.

201, request, answer, three statuses by webhook, three callbacks; at most so many messages are open
at a time, so the backlog is flat. Nothing limits the rate but the cores.
"""

from __future__ import annotations

from pathlib import Path

from bench.cloud.extent import Extent
from bench.cloud.site import FAST, UNLIMITED, cloud_site, cpu_us, warm
from bench.e2e.lives import MOST_OPEN, WARM_UP
from bench.e2e.site import Found

OWNERS = 2  # 512 connections each, and 225 ms an answer: 4,550 a second
CONNECTIONS = 128
RECIPIENTS = 100_000
SECONDS = 60.0


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """The rate, its CPU, and what was wrong."""
    async with cloud_site(folder, OWNERS, UNLIMITED, FAST) as here:
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
            "lives": {"per_s": round(found["lives"] / found["seconds"]), "cpu_us": cpu_us(found)},
            "foreign_cores": {"lives": round(found["foreign_cores"], 2)},
        }
        return figures, await here.check("life cycles")

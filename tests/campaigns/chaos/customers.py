"""Customers who write beside the load, each once; and a look each second at what has arrived."""

from __future__ import annotations

import asyncio

from tests.campaigns.chaos.arrivals import Arrivals
from tests.harness.business import Business
from warouter.background import wait_for

EVERY_SECONDS = 1.0


class Customers:
    """``inbound`` of them a second, until ``end``."""

    def __init__(self, business: Business, arrivals: Arrivals, inbound: int) -> None:
        self._business = business
        self._arrivals = arrivals
        self._inbound = inbound
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Nobody writes any more; those who do so now are waited for, or nobody knew of them."""
        self._stop.set()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stop.is_set():
            await self._arrivals.fetch()
            await self._business.from_new_customers(self._inbound)
            await wait_for(self._stop, EVERY_SECONDS)

"""What reached the simulator, fetched while the campaign runs: it keeps the last 200,000 only."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.campaigns.chaos.doors import Door
from tests.harness.business import Business
from tests.harness.history import Sends


class Arrivals:
    """First arrivals in the order of time, and the counters of the simulator."""

    def __init__(self, sends: Sends, business: Business, door: Door) -> None:
        self._sends = sends
        self._business = business
        self._door = door
        self.counters: dict[str, Any] = {}
        self.last = [0.0] * 32  # by slot
        self._one_at_a_time = asyncio.Lock()

    async def fetch(self) -> None:
        """Everything new, and the counters as they are now."""
        async with self._one_at_a_time:
            await self._fetch()

    async def _fetch(self) -> None:
        url = f"{self._door.cluster.control_url}/record?{self._door.query()}"
        async with self._business.http.get(url) as answer:
            self.counters = await answer.json()
        for at, slot, message_id, epoch in self._door.new(self.counters):
            self._sends.add(at, slot, message_id, epoch)
            self.last[slot] = at

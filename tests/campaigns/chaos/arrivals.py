"""What reached the simulator, fetched while the campaign runs: it keeps the last 200,000 only."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.harness.business import Business
from tests.harness.history import Sends


class Arrivals:
    """First arrivals in the order of time, and the counters of the simulator."""

    def __init__(self, sends: Sends, business: Business, control_url: str) -> None:
        self._sends = sends
        self._business = business
        self._url = control_url
        self.counters: dict[str, Any] = {}
        self.last = [0.0] * 32  # by slot
        self._one_at_a_time = asyncio.Lock()

    async def fetch(self) -> None:
        """Everything new, and the counters as they are now."""
        async with self._one_at_a_time:
            await self._fetch()

    async def _fetch(self) -> None:
        sends = self._sends
        since = sends.at[-1] if sends.at else float("-inf")
        url = f"{self._url}/record?since={since}"
        async with self._business.http.get(url) as answer:
            self.counters = await answer.json()
        for at, slot, message_id, epoch in self.counters.pop("arrivals"):
            sends.add(at, slot, message_id, epoch)
            self.last[slot] = at

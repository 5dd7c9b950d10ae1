"""What reached the simulator, fetched while the campaign runs: it keeps the last 200,000 only."""

from __future__ import annotations

import asyncio
from array import array
from typing import Any

import aiohttp


class Arrivals:
    """First arrivals in order of time: when (monotonic s), slot, id, epoch."""

    def __init__(self, http: aiohttp.ClientSession, control_url: str) -> None:
        self._http = http
        self._url = control_url
        self.at = array("d")
        self.slot = array("b")
        self.id: list[str] = []
        self.epoch = array("q")
        self.counters: dict[str, Any] = {}
        self.last = [0.0] * 32  # by slot
        self._one_at_a_time = asyncio.Lock()

    async def fetch(self) -> None:
        """Everything new, and the counters as they are now."""
        async with self._one_at_a_time:
            await self._fetch()

    async def _fetch(self) -> None:
        since = self.at[-1] if self.at else float("-inf")
        async with self._http.get(f"{self._url}/record?since={since}") as answer:
            self.counters = await answer.json()
        for at, slot, message_id, epoch in self.counters.pop("arrivals"):
            self.at.append(at)
            self.slot.append(slot)
            self.id.append(message_id)
            self.epoch.append(epoch)
            self.last[slot] = at

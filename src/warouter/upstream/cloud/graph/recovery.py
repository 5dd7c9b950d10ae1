"""Whether the Graph API is there again, asked by a coreapp that heard nothing but failures of it.

Its slots went to others by then, so no message of its own will tell: without a question it would be
taken for cut off for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from warouter.upstream.cloud.graph.calls import CallFailed
from warouter.upstream.cloud.graph.client import CloudUpstream

LOOK_SECONDS = 2.0
QUIET_SECONDS = 10.0  # without a request, and between two questions


class Recovery:
    """Tells ``upstream`` that it is well by ``probe``, the cheapest call; ``clock`` in seconds."""

    def __init__(
        self,
        upstream: CloudUpstream,
        probe: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._probe = probe
        self._clock = clock
        self._asked = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Ask if nothing else has lately; an answer in Meta's form is enough, whatever it says."""
        since = max(self._asked, self._upstream.failed_at)
        if self._upstream.well or self._clock() - since < QUIET_SECONDS:
            return
        self._asked = self._clock()
        try:
            await self._probe()
        except CallFailed as error:
            if error.judged is None or error.judged.meta_code < 0:
                return
        self._upstream.revived()

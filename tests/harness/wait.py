"""Waiting for what sends no signal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds that a test waits for what must come: only a fault makes it wait so long."""


async def soon(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Until it holds; TimeoutError after so many seconds."""
    async with asyncio.timeout(seconds):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)

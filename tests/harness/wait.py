"""Waiting for what sends no signal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def soon(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Until it holds; TimeoutError after so many seconds."""
    async with asyncio.timeout(seconds):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)

"""Waiting: for what says that it has changed, and for what sends no signal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Self

PATIENCE = 120.0
"""Seconds that a test waits for what must come: only a fault makes it wait so long."""


class Watch:
    """Lets a test wait until something that others change has come true."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self, *_args: object) -> None:
        self._changed.set()

    async def until(self, holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """What ``holds`` returns once that is true; TimeoutError after so many seconds."""
        async with asyncio.timeout(seconds):
            while not (found := holds()):
                self._changed.clear()
                await self._changed.wait()
            return found


_TICK = 0.05


class Awake:
    """Seconds in which this loop had the machine: what it stood still for is no fault of ours."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def __aenter__(self) -> Self:
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ticking.cancel()

    async def _tick(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(_TICK)
            self.seconds += min(time.monotonic() - began, 2 * _TICK)


async def soon(holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What it returns, or what comes of that, once it is true; TimeoutError after so long.

    It is asked less often the longer it has been waited for: many tests share a machine, and to ask
    costs the process that is waited for as much as the test.
    """
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if isawaitable(found):
                found = await found
            if found:
                return found
            waited = time.monotonic() - began
            await asyncio.sleep(min(max(0.01, waited / 10), 0.1))

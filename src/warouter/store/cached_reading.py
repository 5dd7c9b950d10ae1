"""A reading of the database that all share who ask for it within some seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class CachedReading(Generic[T]):
    """The result of ``read`` for ``seconds``; who asks while it is read waits for that reading."""

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._clock = clock
        self._reading: asyncio.Task[T] | None = None
        self._began = float("-inf")

    async def get(self) -> T:
        """The reading; raises what ``read`` raises, and does not keep that."""
        reading = self._reading
        if reading is None or (reading.done() and self._is_over(reading)):
            self._began = self._clock()
            reading = self._reading = asyncio.ensure_future(self._run())
            reading.add_done_callback(_look_at)  # should everybody have gone
        return await asyncio.shield(reading)

    def forget(self) -> None:
        """Read anew when asked next: something was changed."""
        self._reading = None

    async def _run(self) -> T:
        return await self._read()

    def _is_over(self, reading: asyncio.Task[T]) -> bool:
        failed = reading.cancelled() or reading.exception() is not None
        return failed or self._clock() - self._began >= self._seconds


def _look_at(reading: asyncio.Task[T]) -> None:
    if not reading.cancelled():
        reading.exception()

"""Reads what several pages show once a second at most, once for all who ask meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import asyncpg

from warouter.store.bounded import connection
from warouter.store.reports import Report, read_reports
from warouter.store.views.status import Status, read_status

T = TypeVar("T")

FRESH_SECONDS = 0.9  # streams look once a second
READ_SECONDS = 2.0  # for all that one page reads
CHANGES = 320  # the latest changes of owners: ten of all slots


class CachedReading(Generic[T]):
    """The result of ``read`` for ``seconds``; who asks while it is read waits for that reading."""

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        seconds: float = FRESH_SECONDS,
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


class Latest:
    """The latest readings of the cluster as a whole."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._answered: float | None = None
        self._status = CachedReading(self._read_status)
        self._reports = CachedReading(lambda: read_reports(pool))

    @property
    def age(self) -> float | None:
        """Seconds since the database answered last with the cluster; None before the first time."""
        return None if self._answered is None else time.monotonic() - self._answered

    async def status(self) -> Status:
        """The cluster, with its latest changes of owners; raises what the store raises."""
        return await self._status.get()

    async def reports(self) -> list[Report]:
        """The fresh reports of all processes."""
        return await self._reports.get()

    def forget(self) -> None:
        self._status.forget()

    async def _read_status(self) -> Status:
        async with connection(self._pool, READ_SECONDS) as taken:
            found = await read_status(taken, CHANGES)
        self._answered = time.monotonic()
        return found

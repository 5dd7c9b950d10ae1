"""Reads what several pages show once a second at most, once for all who ask meanwhile."""

from __future__ import annotations

import time

import asyncpg

from warouter.metrics import Sample
from warouter.store.bounded import connection
from warouter.store.cached_reading import CachedReading
from warouter.store.reports import Report, read_reports
from warouter.store.views.stats import Statistics
from warouter.store.views.status import Status, read_status

FRESH_SECONDS = 0.9  # streams look once a second
READ_SECONDS = 2.0  # for all that one page reads
CHANGES = 320  # the latest changes of owners: ten of all slots


class Latest:
    """The latest readings of the cluster as a whole."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._answered: float | None = None
        self._status = CachedReading(self._read_status, FRESH_SECONDS)
        self._reports = CachedReading(lambda: read_reports(pool), FRESH_SECONDS)
        self._statistics = Statistics(pool)

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

    async def samples(self) -> list[Sample]:
        """The metrics of the cluster that the database knows, some seconds old at most."""
        return await self._statistics.cluster()

    def forget(self) -> None:
        self._status.forget()

    async def _read_status(self) -> Status:
        async with connection(self._pool, READ_SECONDS) as taken:
            found = await read_status(taken, CHANGES)
        self._answered = time.monotonic()
        return found

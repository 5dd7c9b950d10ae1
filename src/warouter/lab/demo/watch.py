"""Watches the messages in doubt of a cluster while the demo runs."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

import asyncpg

from warouter import background
from warouter.cloud_number import FIRST
from warouter.lab.demo.doubts import Counts, Doubted, ended_between, ends_in
from warouter.store.reports import Report, read_reports
from warouter.store.views.doubts import read_cloud

LOOK_SECONDS = 0.5
REPORT_SECONDS = 6.0  # a little more than lies between two reports of a process


class DoubtWatch:
    """Counts from ``async with`` on what was in doubt, with the database of the cluster."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._before: Counts = {}
        self._last_open = 0.0  # when something was in doubt last

    async def __aenter__(self) -> Self:
        self._before = _counts(await read_reports(self._pool))
        self._last_open = time.monotonic()
        # What it fails at, ``counted`` meets as well, and raises.
        self._looking = background.begin(self._look(), lambda _error: None)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._looking.cancel()
        await asyncio.wait([self._looking])

    async def counted(self, seconds: float) -> Doubted:
        """Count the doubts once none is left, or after so many seconds."""
        opened = await self._opened(time.monotonic() + seconds)
        reports = await self._fresh_reports(time.monotonic() + REPORT_SECONDS)
        return Doubted(ended_between(self._before, _counts(reports)), opened)

    async def _opened(self, deadline: float) -> int:
        while True:
            opened = await self._open()
            if not opened or time.monotonic() >= deadline:
                return opened
            await asyncio.sleep(LOOK_SECONDS)

    async def _fresh_reports(self, deadline: float) -> list[Report]:
        """Reports that were written after the last doubt had ended."""
        while True:
            reports = [r for r in await read_reports(self._pool) if r.role == "coreapp"]
            now = time.monotonic()
            oldest = now - max((r.age_s for r in reports), default=0.0)
            if oldest > self._last_open + LOOK_SECONDS or now >= deadline:
                return reports
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        while True:
            await self._open()
            await asyncio.sleep(LOOK_SECONDS)

    async def _open(self) -> int:
        found = await read_cloud(self._pool, FIRST)
        count = found.in_doubt + found.held if found is not None else 0
        if count:
            self._last_open = time.monotonic()
        return count


def _counts(reports: list[Report]) -> Counts:
    return {r.incarnation: ends_in(r.body.samples) for r in reports if r.role == "coreapp"}

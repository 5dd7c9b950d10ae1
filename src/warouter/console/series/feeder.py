"""Feeds the series: what processes report and what the database counts, every five seconds."""

from __future__ import annotations

import asyncio
import logging
import time

from warouter.console.latest import Latest
from warouter.console.series.memory import FINE_SECONDS, Reading, Series
from warouter.log import Outage
from warouter.store.reports import Report

log = logging.getLogger(__name__)


class Feeder:
    """Fills ``series`` for as long as it runs; nobody waits for it."""

    def __init__(self, series: Series, latest: Latest) -> None:
        self._series = series
        self._latest = latest

    async def run(self) -> None:
        """Read until cancelled. What cannot be read is a gap in the charts, and no more."""
        outage = Outage()
        while True:
            try:
                await self.read()
                outage.ends()
            except Exception as error:
                if outage.begins():
                    log.warning("series reading failed", extra={"error": repr(error)})
            await asyncio.sleep(until_next(time.monotonic()))

    async def read(self) -> None:
        """Take one reading."""
        now = time.monotonic()
        stored = await self._latest.samples()
        reports = await self._latest.reports()
        of_database = Reading("", "database", None, now, stored)
        self._series.take(now, [of_database, *(_of(report, now) for report in reports)])


def until_next(now: float) -> float:
    """Seconds to the middle of the next place: a timer that is early or late by some milliseconds
    finds its place all the same, and each place gets one reading.
    """
    place = now // FINE_SECONDS
    return (place + 1.5) * FINE_SECONDS - now


def _of(report: Report, now: float) -> Reading:
    at = now - max(report.age_s, 0.0)  # PostgreSQL's clock may have been set back
    return Reading(report.node, report.role, report.incarnation, at, report.body.samples)

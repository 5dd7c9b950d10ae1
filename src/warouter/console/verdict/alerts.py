"""The verdict, kept up to date: counters are watched all the time, also while nobody looks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from warouter.console.latest import Latest
from warouter.console.verdict.counters import CounterHistory
from warouter.console.verdict.judge import AlertWatch, HealthVerdict, verdict
from warouter.console.verdict.rules import COUNTERS, RULES
from warouter.console.verdict.snapshot import ClusterSnapshot
from warouter.log import Outage
from warouter.metrics import Sample, labelled
from warouter.store.reports import FRESH_SECONDS, Report
from warouter.store.views.status import Status

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # reports are as far apart
ALIVE = "alive"


class Alerts:
    """Judges the latest readings; ``run`` has it look now and then."""

    def __init__(self, latest: Latest, clock: Callable[[], float] = time.time) -> None:
        self._latest = latest
        self._clock = clock
        self._counters = CounterHistory(COUNTERS)
        self._watch = AlertWatch(RULES)

    @property
    def began(self) -> float | None:
        """Since when counters are watched, as a unix time."""
        return self._counters.began

    async def verdict(self) -> HealthVerdict:
        """Is all well now? Raises what the store raises."""
        status, reports = await self._latest.status(), await self._latest.reports()
        stored = await self._latest.samples()
        now = self._clock()
        samples = [*stored, *reported(reports), *silent(status, reports)]
        self._counters.look(now, samples)
        snapshot = ClusterSnapshot(now, samples, self._counters, status.history)
        return verdict(self._watch.judge(snapshot), well(status))

    async def run(self) -> None:
        """Look until cancelled."""
        outage = Outage()
        while True:
            try:
                await self.verdict()
                outage.ends()
            except Exception as error:
                if outage.begins():
                    log.warning("alert reading failed", extra={"error": repr(error)})
            await asyncio.sleep(LOOK_SECONDS)


def reported(reports: Sequence[Report]) -> list[Sample]:
    """The samples of all reports, each with its node."""
    return [s for report in reports for s in labelled(report.body.samples, node=report.node)]


def silent(status: Status, reports: Sequence[Report]) -> list[Sample]:
    """The live processes without a fresh report, but for those that have just been started: each
    as a page of statistics that Prometheus cannot read.
    """
    told = {report.node for report in reports}
    return [
        Sample(
            "up", 0, {"job": "webstats" if n.role == "webapp" else "appstats", "instance": n.name}
        )
        for n in status.nodes
        if n.state == ALIVE and n.age_s > FRESH_SECONDS and n.name not in told
    ]


def well(status: Status) -> str:
    """The first sentence when all is well."""
    owners = sorted({owner for shard in status.shards for owner in shard.owners})
    who = owners[0] if len(owners) == 1 else f"{len(owners)} coreapps"
    verb = "owns" if len(owners) == 1 else "own"
    slots = sum(len(shard.slots) - len(shard.unowned_slots) for shard in status.shards)
    return f"{who} {verb} the {slots} slots, {status.leader} leads, and no alert is on."

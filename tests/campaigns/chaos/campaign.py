"""One run: a cluster, load, the faults of a schedule one after the other, and the judge at the end.

After each fault everything must flow again within the promised time; only then comes the next.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Sequence

import msgspec

from tests.campaigns.chaos.judge import judged
from tests.campaigns.chaos.lab import PROMISED_SECONDS, Lab
from tests.campaigns.chaos.machine import busy_seconds
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemeses import NEMESES
from tests.harness.wait import PATIENCE

WARM_SECONDS = 5.0
STOP_SECONDS = 20.0
QUIET_SECONDS = (0.8, 1.6)  # between two faults


class Outcome(msgspec.Struct, kw_only=True):
    """What a run was and what was found. ``wrong`` is empty when every invariant held."""

    seed: int
    began: float
    ended: float
    marks: list[Mark]
    wrong: list[str]
    skipped: list[str]


async def run(lab: Lab, names: Sequence[str], seconds: float = math.inf) -> Outcome:
    """The faults in this order on a started lab, until so many seconds have passed."""
    began = time.monotonic()
    await asyncio.sleep(WARM_SECONDS)
    marks: list[Mark] = []
    skipped: list[str] = []
    for n, name in enumerate(names, 1):
        if time.monotonic() - began > seconds:
            break
        nemesis = NEMESES[name]
        if not set(nemesis.needs) <= lab.hosts.means:
            skipped.append(name)
            continue
        marks.append(await _one(lab, name, f"{n}/{len(names)}"))
        if marks[-1].recovered is None:
            break  # what follows would only show the same again
    ended = time.monotonic()
    wrong = [f"{mark.kind}: {what}" for mark in marks for what in mark.wrong]
    await lab.business.stop(STOP_SECONDS)
    await lab.end_customers()
    await _called_back(lab)
    wrong += await judged(lab, marks)
    return Outcome(
        seed=lab.seed, began=began, ended=ended, marks=marks, wrong=wrong, skipped=skipped
    )


async def _one(lab: Lab, name: str, place: str) -> Mark:
    await lab.arrivals.fetch()
    before, busy, since = lab.arrivals.counters, busy_seconds(), time.monotonic()
    try:
        mark = await NEMESES[name].run(lab)
    except Exception as error:
        now = time.monotonic()
        mark = Mark(kind=name, at=now, wall=time.time(), healed=now)
        mark.wrong.append(f"could not be done: {error!r}")
    mark.recovered = await lab.recovered(mark.healed)
    mark.busy = round((busy_seconds() - busy) / (time.monotonic() - since), 2)
    if mark.recovered is None:
        late = f"I15: not recovered {PROMISED_SECONDS:g} s after the fault was healed"
        mark.wrong.append(f"{late} (somebody waited for a CPU {mark.busy:.0%} of the time)")
        mark.recovered = await lab.recovered(mark.healed, PATIENCE)  # late, or never
    mark.repeats = lab.arrivals.counters["repeats"] - before["repeats"]
    mark.stale = lab.arrivals.counters["stale"] - before["stale"]
    if not mark.fence and lab.door.fences:
        await lab.faults(forget_fence=False)
    took = f"{mark.recovered - mark.at:.2f} s" if mark.recovered else "never"
    _say(f"{place} {name} {' '.join(mark.victims)}: whole again after {took} {mark.wrong or ''}")
    await asyncio.sleep(lab.random.uniform(*QUIET_SECONDS))
    return mark


async def _called_back(lab: Lab) -> None:
    """Until every acknowledged message has its read callback, or nothing has come for long."""
    history = lab.history
    seen, since = (-1, -1), time.monotonic()
    while history.missing() and time.monotonic() - since < lab.door.patience:
        if (history.read, len(history.inbound)) != seen:
            seen, since = (history.read, len(history.inbound)), time.monotonic()
        await asyncio.sleep(0.2)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

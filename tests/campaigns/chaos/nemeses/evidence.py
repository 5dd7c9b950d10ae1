"""The webhooks of the Cloud door: away, late, twice, out of order, without a reference.

Statuses are the only evidence of a message in doubt. Where a fault keeps them back for longer than
the window, its mark says so: only there may a message be taken twice.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

from tests.campaigns.chaos.doors.cloud import MARKETING, cloud_of
from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemeses.network import cut
from tests.campaigns.chaos.nemeses.process import kill
from tests.campaigns.chaos.nemesis import Act, a_webapp, an_owner, fault, nemesis
from tests.campaigns.chaos.network import UPSTREAM
from tests.harness.wait import PATIENCE

DOUBTING = {"drop_after": 0.1}  # so that evidence is needed
SIDE = 30  # messages beside the load's chains, each to a recipient of its own


def doubting(seconds: float, **switches: Any) -> Act:
    """For so long messages are in doubt, and their evidence comes like this."""

    async def doubted(lab: Lab, _mark: Mark) -> None:
        async with lab.switched(**DOUBTING, **switches):
            await asyncio.sleep(seconds)

    return doubted


_DOUBLED = {"repeat": 0.2, "second_app": 0.2, "reorder": 0.2, "straggle": 0.1, "straggle_ms": 2000}
FAULTS = (
    fault("cloud-statuses-mixed", doubting(2.5, **_DOUBLED)),
    # POSTs fail on their way: nobody here knows, and they come again after newer ones.
    fault("cloud-every-second-post", doubting(2.5, outage_s=2.5, outage_every=2)),
    fault("cut-webapp-webhooks", cut(3.0, 3.0, UPSTREAM), UPSTREAM, of=[a_webapp]),
)


@nemesis()
async def cloud_outage(lab: Lab, mark: Mark) -> None:
    """No POST reaches anybody for longer than the window, then they come, the oldest last."""
    mark.delays = True
    async with lab.switched(**DOUBTING, outage_s=cloud_of(lab).window * 1.5):
        await asyncio.sleep(1.5)
    await asyncio.sleep(cloud_of(lab).window * 1.5 - 1.5)


@nemesis()
async def cloud_withholds(lab: Lab, mark: Mark) -> None:
    """The statuses of just those messages in doubt come after the window, all others at once.

    Some of the messages must not be sent again, whatever becomes of them.
    """
    mark.delays = True
    async with lab.switched(**DOUBTING, hold_dropped_s=cloud_of(lab).window * 2.5):
        since = time.monotonic()
        for _ in range(SIDE):
            one = await lab.business.message(lab.stranger(), headers={"Warouter-In-Doubt": "fail"})
            lab.history.cautious.add(one)
        await asyncio.sleep(max(0.0, since + 2.0 - time.monotonic()))


@nemesis()
async def cloud_fails_without_reference(lab: Lab, _mark: Mark) -> None:
    """Messages are taken and fail, and their statuses name nothing but a wamid."""
    numbers = [lab.stranger() for _ in range(SIDE)]
    first = len(lab.history.sends.id)
    async with lab.switched(incapable=numbers, opaque="not_failed"):
        ids = {await lab.business.message(number) for number in numbers}
        lab.history.doomed |= ids

        async def taken() -> bool:
            await lab.arrivals.fetch()
            return ids <= {*lab.history.sends.id[first:]}

        await asyncio.sleep(2.0)
        await lab.until(taken, PATIENCE)  # later ones would be delivered


@nemesis(of=[an_owner])
async def cloud_holds_templates(lab: Lab, mark: Mark) -> None:
    """Messages that Meta holds back for longer than an ordinary window; an owner dies meanwhile."""
    window = cloud_of(lab).window
    async with lab.switched(held_templates=[MARKETING], held_s=window * 1.5, drop_after=0.3):
        template = {
            "namespace": "n",
            "name": MARKETING,
            "language": {"policy": "deterministic", "code": "en_US"},
        }
        for _ in range(SIDE):
            began, to = time.monotonic(), lab.stranger()
            one = await lab.business.message(to, template=template)
            lab.history.on_answer(to, one, began, time.monotonic())
            lab.history.slow.add(one)
        await kill(lab, mark)


@nemesis()
async def kill_webapps(lab: Lab, mark: Mark) -> None:
    """Both at once: nobody hears webhooks, which is known here, and counts twice."""
    mark.victims = [process.name for process in lab.running("webapp")]
    restarts = {name: lab.process(name).restarts for name in mark.victims}
    async with lab.switched(**DOUBTING):
        await asyncio.sleep(1.0)
        for name in mark.victims:
            lab.process(name).kill(signal.SIGKILL)
        await asyncio.gather(*(lab.back(name, n) for name, n in restarts.items()))

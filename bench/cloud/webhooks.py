"""How soon a webhook's POST is answered 200, also while an owner is killed.

The messages are really sent, by a door that tells no statuses; then those are posted in its stead
(``bench.cloud.poster``), at a pace of its own. 200 comes after the commit of the inbox, so that no
owner is needed for it; the owners read the inbox meanwhile, and each status is called back.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bench import machine
from bench.child import Child
from bench.cloud.extent import Extent
from bench.cloud.poster import Order, Posted, Sent
from bench.cloud.site import (
    FAST,
    LOAD_CONNECTIONS,
    UNLIMITED,
    cloud_site,
    now,
    owners,
    secret,
    spread,
)
from bench.e2e.site import DRAIN_SECONDS, LOOK_SECONDS, Found, Site, say
from warouter.local.cloud_emulator import PREFIX
from warouter.local.cluster import SAMPLE

OWNERS = 4
PER_SECOND = 4_000.0  # statuses
SECONDS = 30.0
KILLED_SECONDS = 5.0  # after the kill that count as such: lease, takeover, and what had to wait
MAKE_SECONDS = 120.0
SILENT = {"sent": 0, "delivered": 0, "read": 0}
LEVELS = 3  # statuses of a message


class _Taken(msgspec.Struct):
    requests: list[Sent]


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """The figures, and what was wrong."""
    seconds = extent.lasts(SECONDS)
    async with cloud_site(folder, OWNERS, UNLIMITED | SILENT, FAST) as here:
        count = int(seconds * PER_SECOND / LEVELS)
        await here.run(
            here.order(LOAD_CONNECTIONS, MAKE_SECONDS, count=count, recipients=count, lives=False)
        )
        await here.drained(callbacks=False)
        order = await _order(here)
        poster = await Child.start("bench.cloud.poster")
        foreign, began = machine.foreign_seconds(), now()
        try:
            posting = asyncio.create_task(poster.ask(order))
            await asyncio.sleep(seconds / 2)
            killed = now()
            os.kill(min(await owners(here)), signal.SIGKILL)
            posted = msgspec.convert(await posting, Posted)
        finally:
            await poster.stop()
        cores = (machine.foreign_seconds() - foreign) / (now() - began)
        figures: Found = {
            "webhooks": _figures(posted, killed),
            "foreign_cores": {"webhooks": round(cores, 2)},
        }
        say(f"  {figures}")
        return figures, await _wrong(here, posted)


async def _order(here: Site) -> Order:
    about = here.cluster.description()
    environment = about["environment"]
    async with here.http.get(f"{here.cluster.control_url}/record?requests=1") as answer:
        taken = msgspec.json.decode(await answer.read(), type=_Taken)
    port = urlsplit(about["cloud_webhooks"][0]).port
    assert port is not None
    return Order(
        port=port,
        secret=secret(environment, "APP_SECRET"),
        waba_id=environment[f"{PREFIX}WABA_ID"],
        phone_number_id=environment[f"{PREFIX}PHONE_NUMBER_ID"],
        number="".join(SAMPLE),
        messages=taken.requests,
        per_second=PER_SECOND,
    )


def _figures(posted: Posted, killed: float) -> Found:
    beside = [took for due, took, _ in posted.posts if killed <= due < killed + KILLED_SECONDS]
    calm = [took for due, took, _ in posted.posts if not killed <= due < killed + KILLED_SECONDS]
    first, last = posted.posts[0][0], max(due + took for due, took, _ in posted.posts)
    return {
        "calm_ms": spread(calm),
        "killed_ms": spread(beside),
        "per_s": round(posted.events / (last - first)),
    }


async def _wrong(here: Site, posted: Posted) -> list[str]:
    """Every POST was answered 200, and every status in them was called back."""
    facts = []
    if bad := [status for _, _, status in posted.posts if status != 200]:
        facts.append(f"webhooks: {len(bad)} POSTs were answered {sorted(set(bad))}")
    told = await _told(here, posted.events)
    if told < posted.events:
        facts.append(f"webhooks: {told} of {posted.events} statuses were called back")
    return facts


async def _told(here: Site, count: int) -> int:
    """How many were called back, once it is so many."""
    give_up = now() + DRAIN_SECONDS
    while True:
        told: int = (await here.counts())["callbacks"]
        if told >= count or now() > give_up:
            return told
        await asyncio.sleep(LOOK_SECONDS)

"""A site under traffic, and what is asked of it at the end: nothing lost, repeated, out of order.

Each step has a business and a record of its own, so that a fault is the fault of a step.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.campaigns.chaos import audit
from tests.deploy.network import HOST
from tests.deploy.site import Site
from tests.harness.business import Business
from warouter.background import wait_for
from warouter.flow.pairs import PAIR_SECONDS

RATE = 40.0  # messages/s
BEFORE, AFTER = 60, 120  # messages that are accepted before a step, and after it
PATIENCE_SECONDS = 15.0  # of a client: longer than WAROUTER_HOLD
# A webapp that stops closes what has been idle for a second, and both may be late.
IDLE_SECONDS = 0.2
DOUBTS = "select count(*) from doubt_log"
PULSE_SECONDS = 0.5
PLANNED = {"unowned", "handover", "renew"}


@asynccontextmanager
async def lived_through(site: Site, *, planned: bool = True) -> AsyncIterator[Business]:
    """Traffic through what is done inside. ``planned``: nobody is killed in it, so that nobody is
    taken for dead, no request stays without an answer and, with the Cloud door, none is in doubt.
    """
    doubts = await site.facts.connection.fetchval(DOUBTS)
    changes = len(await site.facts.owner_log())
    async with business_of(site) as business:
        async with _customers(business):
            # The Cloud API allows a recipient one message in so many seconds.
            business.start(round(RATE * PAIR_SECONDS * 2) if site.door.name == "cloud" else 40)
            await business.more(BEFORE)
            yield business
            await business.more(AFTER)
            await business.stop()
            await business.all_called_back()
        await business.until(lambda: not business.history.missing())
        await _judged(site, business)
        if planned:
            await _planned(site, business, doubts, changes)


@asynccontextmanager
async def business_of(site: Site) -> AsyncIterator[Business]:
    """One that has not begun to send, with a new record at the upstream."""
    business = Business(
        site,  # type: ignore[arg-type]
        site.urls,
        host=HOST,
        rate=RATE,
        tls=site.tls,
        patience=PATIENCE_SECONDS,
        idle=IDLE_SECONDS,
    )
    business.urls = site.urls  # those in service at each request
    async with business:
        async with business.http.delete(f"{site.control_url}/record") as answer:
            assert answer.status == 200
        yield business


@asynccontextmanager
async def _customers(business: Business) -> AsyncIterator[None]:
    """They write all the while, which proves to owners that the way of webhooks is open."""
    end = asyncio.Event()

    async def write() -> None:
        while not end.is_set():
            await business.from_new_customers(1)
            await wait_for(end, PULSE_SECONDS)

    writing = asyncio.create_task(write())
    try:
        yield
    finally:
        end.set()
        await writing


async def _judged(site: Site, business: Business) -> None:
    """The invariants, and that no call has failed."""
    business.history.complete = True  # nobody else sends
    if site.door.name == "cloud":
        # Webhooks come at once at several webapps: what is below what was shown is not shown.
        business.history.wanted = ("read",)
    wrong = [str(one) for one in await site.facts.wrong(business)]
    wrong += await audit.stale_writes(site.facts.connection)
    wrong += [f"answered {status}: {body}" for _, status, body in business.history.errors]
    assert not wrong, "\n".join(wrong)


async def _planned(site: Site, business: Business, doubts: int, changes: int) -> None:
    """Nobody was taken for dead, and the upstream had nothing to drop, or to take twice."""
    history, record = business.history, await business.record()
    wrong = [f"no answer: {why}" for _, _, why in history.unknown]
    log = (await site.facts.owner_log())[changes:]
    wrong += [_forced(row) for row in log if row["reason"] not in PLANNED]
    if site.door.name == "native":
        wrong += [f"{record['repeats']} repeats"] * bool(record["repeats"])
    else:
        wrong += [f"{record['same_reference']} taken twice"] * bool(record["same_reference"])
        more = await site.facts.connection.fetchval(DOUBTS) - doubts
        wrong += [f"{more} in doubt"] * bool(more)
        accepted = {to: record["ids"].get(to) for to in history.acked}
        wrong += ["not once each, in order"] * (accepted != history.acked)
    assert not wrong, "\n".join(wrong)


def _forced(row: Mapping[str, Any]) -> str:
    """A change of owner that was in no plan."""
    moved = f"slot {row['slot']}: {row['reason']}, {row['from_node']} to {row['to_node']}"
    return f"{moved}, silent for {row['observed_age_ms']} ms, at {row['at']:%H:%M:%S.%f}"

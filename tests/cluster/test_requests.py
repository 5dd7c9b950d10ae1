"""Requests that come more than once, messages that end unsent, and the trace of one (I11, I5).

``WAROUTER_TEST_REQUESTS`` is how many requests there are, each sent three times at once; 10,000 is
the whole proof, the default a short one.
"""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import cycle
from typing import Any

import aiohttp

from tests.cluster.conftest import ONE, PAIR, Start
from tests.harness.business import Business
from tests.harness.facts import OPEN_CURSORS, Facts
from tests.harness.wait import Watch
from warouter.local.cluster import Cluster

REQUESTS = int(os.environ.get("WAROUTER_TEST_REQUESTS", "300"))
AT_ONCE = 60
KILLS = max(3, REQUESTS // 500)
WEBAPPS = 3
ATTEMPTS = 200


class Clients:
    """Send each request three times at once, to webapps of their choice, until it is answered."""

    def __init__(self, business: Business) -> None:
        self._business = business
        self._urls = cycle(business.cluster.webapp_urls)
        self.ids: dict[int, set[str]] = {}
        self.answered = 0
        self.failed = 0  # tries that had no answer, or a 503
        self.progress = Watch()

    async def run(self, numbers: Any) -> None:
        """One of many workers on the same iterator."""
        for number in numbers:
            ids = await asyncio.gather(*(self._send(number) for _ in range(3)))
            self.ids[number] = set(ids)
            self.answered += 1
            self.progress.notify()

    async def until(self, count: int) -> None:
        await self.progress.until(lambda: self.answered >= count, 600)

    async def _send(self, number: int) -> str:
        message = {"to": f"49151{number:07d}", "text": {"body": f"request {number}"}}
        headers = {**self._business.headers, "Idempotency-Key": f"request {number}"}
        for _ in range(ATTEMPTS):
            url = f"{next(self._urls)}/v1/messages"
            try:
                async with self._business.http.post(url, json=message, headers=headers) as answer:
                    body = await answer.json()
                    if answer.status == 201:
                        return str(body["messages"][0]["id"])
                    assert answer.status == 503, body
            except aiohttp.ClientError:
                pass  # its webapp was killed: another one, with the same key
            self.failed += 1
            await asyncio.sleep(0.02)
        raise AssertionError(f"request {number} was not answered in {ATTEMPTS} tries")


async def kill_webapps(cluster: Cluster, clients: Clients) -> None:
    """One after the other, evenly over the requests; each is restarted by the cluster."""
    for n in range(KILLS):
        await clients.until(REQUESTS * (n + 1) // (KILLS + 1))
        cluster.processes[f"webapp-{n % WEBAPPS + 1}"].kill(signal.SIGKILL)


async def test_each_request_is_one_message_while_webapps_are_killed(start: Start) -> None:
    cluster, business = await start(webapps=WEBAPPS)
    clients = Clients(business)
    numbers = iter(range(REQUESTS))
    async with Facts(cluster) as facts:
        killer = asyncio.create_task(kill_webapps(cluster, clients))
        await asyncio.gather(*(clients.run(numbers) for _ in range(AT_ONCE)))
        await killer
        assert len(clients.ids) == REQUESTS
        assert [n for n, ids in clients.ids.items() if len(ids) != 1] == []
        assert len(set().union(*clients.ids.values())) == REQUESTS
        stored = await facts.connection.fetchval("select count(*) from message")
        keys = await facts.connection.fetchval("select count(*) from request_key")
        assert stored == keys == REQUESTS
        await business.called_back("read", *set().union(*clients.ids.values()))
        record = await business.record()
        assert record["unique"] == REQUESTS
        print(
            f"{REQUESTS} requests three times each, {KILLS} webapps killed, {clients.failed} tries"
            f" without a 201: {stored} messages stored, {record['unique']} at the upstream"
        )


async def status_of(business: Business, message_id: str) -> str:
    """The first one that is called back."""
    await business.until(lambda: business.history.statuses[message_id])
    return business.history.statuses[message_id][0]


async def trace(business: Business, message_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await business.call("GET", f"/v1/messages/{message_id}"))["trace"]
    return found


async def send(business: Business, **more: Any) -> str:
    return await business.message("4915100000001", text={"body": "x"}, **more)


async def test_while_the_upstream_is_away_messages_end_by_their_ttl_or_by_age(start: Start) -> None:
    """One behind another, also across a failover; what is in time is sent when it is back."""
    cluster, business = await start(**PAIR, environment={"WAROUTER_PENDING": "15"})
    await business.faults(refuse=True, disconnect=True)
    async with Facts(cluster) as facts:
        old = await send(business)
        late = await send(business, ttl=3)
        slot = (await facts.map()).slots[(await trace(business, late))["slot"]]
        (await facts.process_of(slot.owner)).kill(signal.SIGKILL)
        assert await status_of(business, late) == "failed"
        assert (await trace(business, old))["state"] == "waiting"
        assert await status_of(business, old) == "failed"
        in_time = await send(business, ttl="PT1H")
        await business.faults(refuse=False)
        await business.called_back("read", in_time)
        await facts.until_none(OPEN_CURSORS)
        for message_id, code in ((late, "410 Message expired"), (old, "408 Message is not valid")):
            found = await trace(business, message_id)
            assert found["state"] == "failed"
            assert found["steps"][-1]["reason"].startswith(code)
        assert (await business.record())["unique"] == 1


async def test_a_parked_message_ends_by_its_ttl_before_its_next_try(start: Start) -> None:
    cluster, business = await start(**ONE)
    await business.faults(throttle=1.0, throttle_ms=60_000)
    async with Facts(cluster) as facts:
        waits = await send(business)
        late = await send(business, ttl=6)
        await facts.until_some("select count(*) from parked_message having count(*) = 2")
        assert await status_of(business, late) == "failed"
        await facts.until_none("select count(*) - 1 from parked_message")
        found = await trace(business, waits)
        assert found["state"] == "parked"
        assert found["steps"][-1]["reason"]
        assert 0 < found["steps"][-1]["due_in_s"] <= 60

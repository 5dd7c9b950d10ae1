"""PostgreSQL is killed again and again: a webapp answers 503, lives on, and serves afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.campaigns.chaos.machine import children_of
from tests.cluster.conftest import ONE, running
from tests.harness.business import Business
from tests.harness.wait import PATIENCE, soon
from warouter.local.cluster import Cluster
from warouter.local.postgres import Postgres

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("database_away")]

KILLS = 5
HOLD_SECONDS = 1.0
MESSAGE = {"to": "4915112345678", "type": "text", "text": {"body": "hello"}}
# What needs the database of those paths that do not: they are held (messages), or answer (GET /).
NEED_IT = (
    ("GET", "/v1/health"),
    ("POST", "/v1/users/login"),
    ("GET", "/v1/users/admin"),
    ("GET", "/v1/settings/application"),
    ("GET", "/v1/account/shards"),
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    async with running(**ONE, environment={"WAROUTER_HOLD": f"{HOLD_SECONDS:g}"}) as (_, business):
        yield business


async def ask(
    business: Business, method: str, path: str, **more: Any
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers of any answer."""
    more.setdefault("headers", business.headers)
    async with business.http.request(method, business.cluster.url + path, **more) as answer:
        return answer.status, await answer.json(), dict(answer.headers)


def basic(cluster: Cluster) -> dict[str, str]:
    pair = f"{cluster.user}:{cluster.password}".encode()
    return {"Authorization": "Basic " + b64encode(pair).decode()}


async def refused(business: Business, method: str, path: str, **more: Any) -> str:
    """The details of a 503 in the product's envelope."""
    status, body, headers = await ask(business, method, path, **more)
    assert status == 503, (path, body)
    assert int(headers["Retry-After"]) > 0, path
    (error,) = body["errors"]
    assert (error["code"], error["title"]) == (1011, "Service not ready"), path
    assert body["meta"] == {"api_status": "stable", "version": "v2.53.0"}
    return str(error["details"])


async def served_again(business: Business) -> str:
    """The id of the first message that is accepted; until then only 503 is allowed."""
    async with asyncio.timeout(PATIENCE):
        while True:
            status, body, _ = await ask(business, "POST", "/v1/messages", json=MESSAGE)
            if status == 201:
                return str(body["messages"][0]["id"])
            assert (status, body["errors"][0]["code"]) == (503, 1011), body


async def all_refused(business: Business) -> None:
    """Every kind of request at once, while the database is away."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    login = {"headers": basic(business.cluster)}
    stranger = {"headers": {"Authorization": "Bearer " + "a" * 43}}
    others = [
        refused(business, method, path, **(login if path.endswith("login") else {}))
        for method, path in NEED_IT
    ]
    # A token that was not seen before cannot be judged now: not 401, which would log people out.
    others.append(refused(business, "POST", "/v1/messages", json=MESSAGE, **stranger))
    held = asyncio.create_task(refused(business, "POST", "/v1/messages", json=MESSAGE))
    details = set(await asyncio.gather(*others))
    assert details == {"the database does not answer"}
    assert (await held).startswith(("not accepted", "outcome unknown for message "))
    assert loop.time() - began >= HOLD_SECONDS
    assert (await ask(business, "GET", "/"))[0] == 200


async def until_it_is_down(business: Business) -> None:
    """C16: the metrics are answered without the database, and soon say that it is away."""
    url = f"{business.cluster.url}/metrics?format=prometheus"
    async with asyncio.timeout(PATIENCE):
        while True:
            async with business.http.get(url, headers=business.headers) as answer:
                assert answer.status == 200
                if re.search(r"^warouter_database_up\S* 0$", await answer.text(), re.M):
                    return
            await asyncio.sleep(0.05)


def lines(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Every line that the processes have logged; one that is no JSON would be a bare traceback."""
    for process in cluster.processes.values():
        if process.role != "simulator":
            for line in process.log.read_text().splitlines():
                yield json.loads(line)


async def answered(business: Business, method: str, path: str, **more: Any) -> None:
    """200, at the latest when the last of its connections is made anew."""
    async with asyncio.timeout(PATIENCE):
        while (status := (await ask(business, method, path, **more))[0]) != 200:
            assert status == 503, path


async def killed(postgres: Postgres) -> None:
    """With its backends: one that is at work outlives it for a moment, and accepts a message."""
    os.kill(postgres.pid, signal.SIGSTOP)  # it starts no more of them
    for pid in children_of(postgres.pid):
        os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(postgres.stop, signal.SIGKILL)


async def test_a_webapp_answers_503_and_outlives_a_database_that_dies_again_and_again(
    business: Business,
) -> None:
    cluster, postgres = business.cluster, business.cluster.postgres
    assert postgres is not None
    pids = {p.name: p.pid for p in cluster.processes.values()}
    sent = [await served_again(business)]
    for _ in range(KILLS):
        await killed(postgres)
        await all_refused(business)
        await until_it_is_down(business)
        await asyncio.to_thread(postgres.start)
        sent.append(await served_again(business))
        await answered(business, "GET", "/v1/health")
        await answered(business, "POST", "/v1/users/login", headers=basic(cluster))
    await business.called_back("read", *sent)
    assert {p.name: p.pid for p in cluster.processes.values()} == pids
    record = await business.record()
    assert (record["inversions"], record["stale"]) == (0, 0)

    logged = list(lines(cluster))
    assert not [line for line in logged if "Traceback" in json.dumps(line)]
    assert not [line for line in logged if line["level"] in ("error", "critical")]
    # One line of each kind for an outage, or two if it seemed over for a moment, however many
    # requests and polls failed in it.
    web = [line["event"] for line in logged if line["role"] == "webapp"]
    for event in ("database unavailable", "shard map refresh failed", "token refresh failed"):
        assert 1 <= web.count(event) <= 2 * KILLS, event
    assert web.count("beat failed") <= 2 * KILLS


async def test_a_process_that_starts_while_the_database_is_away_says_so_and_is_tried_again(
    business: Business,
) -> None:
    """The last one: what it finds in a log is no JSON."""
    cluster = business.cluster
    assert cluster.postgres is not None
    webapp = cluster.processes["webapp-1"]
    await killed(cluster.postgres)
    webapp.kill(signal.SIGKILL)
    await soon(lambda: webapp.restarts >= 2)  # it ended by itself at least once
    await asyncio.to_thread(cluster.postgres.start)
    await soon(webapp.ready.is_set)
    await served_again(business)
    said = [line for line in webapp.log.read_text().splitlines() if not line.startswith("{")]
    assert said
    assert all("cannot be reached" in line for line in said)

"""A number is registered under a running cluster; twenty ask for other shards at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.conftest import ONE, running
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.frozen import frozen
from tests.harness.wait import PATIENCE

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("registration")]

MESSAGE = {"to": "491511234567", "type": "text", "text": {"body": "x"}}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    async with running(**{**ONE, "webapps": 2, "coreapps": 2, "shards": 2}) as (_, business):
        yield business


async def ask(
    business: Business, url: str, method: str, path: str, body: object = None
) -> tuple[int, dict[str, Any]]:
    async with business.http.request(
        method, url + path, json=body, headers=business.headers
    ) as answer:
        return answer.status, await answer.json()


async def statuses(business: Business, url: str) -> set[str]:
    """The gateway statuses of the coreapps."""
    _, body = await ask(business, url, "GET", "/v1/health")
    nodes = body["health"].values()
    return {n["gateway_status"] for n in nodes if n["role"] == "coreapp"}


async def test_a_number_is_registered_while_the_cluster_runs(business: Business) -> None:
    cluster = business.cluster
    one, other = cluster.webapp_urls
    described = cluster.description()
    async with Facts(cluster) as facts:
        await facts.connection.execute("delete from account")
        for url in (one, other):
            assert await statuses(business, url) == {"unregistered"}
            status, refused = await ask(business, url, "POST", "/v1/messages", MESSAGE)
            assert (status, refused["errors"][0]["code"]) == (503, 1011)
        wish = {
            "cc": described["cc"],
            "phone_number": described["phone_number"],
            "method": "sms",
            "cert": described["cert"],
        }
        status, asked = await ask(business, one, "POST", "/v1/account", wish)
        assert (status, asked["account"]) == (202, [{"vname": "warouter demo"}])
        async with business.http.get(cluster.control_url + "/codes") as answer:
            codes = (await answer.json())["codes"]
        code = {"code": codes[wish["cc"] + wish["phone_number"]]["code"]}
        assert (await ask(business, other, "POST", "/v1/account/verify", code))[0] == 201
        # Every webapp knows at once, and nobody was restarted.
        for url in (one, other):
            assert (await ask(business, url, "POST", "/v1/messages", MESSAGE))[0] == 201
            assert await statuses(business, url) == {"connected"}
            assert (await ask(business, url, "POST", "/v1/account", wish))[0] == 201
        actions = await facts.connection.fetch(
            "select action, outcome from audit where action like '%regist%' and of is not null"
            " order by id"
        )
        assert [tuple(row) for row in actions] == [
            ("register", "done"),
            ("verify registration", "done"),
            ("register", "done"),
            ("register", "done"),
        ]


async def test_s26_twenty_set_shards_at_once_one_runs(business: Business) -> None:
    cluster = business.cluster
    described = cluster.description()
    wish = {"cc": described["cc"], "phone_number": described["phone_number"], "shards": 1}
    masters = [p.pid for p in cluster.processes.values() if p.role == "master"]
    with frozen(masters):  # so that none is done before all have asked
        calls = [
            asyncio.create_task(
                ask(business, cluster.webapp_urls[n % 2], "POST", "/v1/account/shards", wish)
            )
            for n in range(20)
        ]
        refused: list[tuple[int, dict[str, Any]]] = []
        async with asyncio.timeout(PATIENCE):
            for call in asyncio.as_completed(calls):
                refused.append(await call)
                if len(refused) == 19:
                    break
    assert {(status, body["errors"][0]["code"]) for status, body in refused} == {(403, 1011)}
    answers = await asyncio.gather(*calls)
    assert sorted(status for status, _ in answers) == [201] + [403] * 19
    async with Facts(cluster) as facts:
        rows = await facts.connection.fetch(
            "select actor, subject, source, outcome from audit"
            " where action = 'set shards' and of is not null"
        )
        assert len(rows) == 20
        assert {row["actor"] for row in rows} == {"admin"}
        assert {row["subject"] for row in rows} == {"1 shards"}
        assert {row["source"] for row in rows} == {"127.0.0.1"}
        assert sorted(row["outcome"][:8] for row in rows) == ["403/1011"] * 19 + ["done"]
        current = await facts.map()
        owners = {slot.owner for slot in current.slots}
        assert (current.shards, current.settled, len(owners)) == (1, True, 1)
    # Whoever was refused asks again.
    wish["shards"] = 2
    status, _ = await ask(business, cluster.url, "POST", "/v1/account/shards", wish)
    assert status == 201

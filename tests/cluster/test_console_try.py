"""Try it, the console's page beside the simulator: each of its acts, by plain HTTP.

The tests share a cluster, to which nothing has happened before the first, and whose simulator is
away after the last.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.cluster.conftest import PAIR, running
from tests.harness.wait import soon
from warouter.local.cluster import Cluster

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("console_try")]

NUMBER, ID = "+49 1522 7654321", "4915227654321"


class Visitor:
    """A browser without a script, logged in as the administrator."""

    def __init__(self, http: aiohttp.ClientSession, cluster: Cluster) -> None:
        self._http = http
        self._cluster = cluster

    async def page(self, path: str) -> str:
        async with self._http.get(path) as answer:
            assert answer.status == 200, path
            return await answer.text()

    async def post(self, path: str, **fields: str) -> str:
        """Where the form leads."""
        same = {"Sec-Fetch-Site": "same-origin"}
        async with self._http.post(
            path, data=fields, headers=same, allow_redirects=False
        ) as answer:
            assert answer.status == 303, await answer.text()
            return answer.headers["Location"]

    async def act(self, path: str, **fields: str) -> str:
        """What is said after an act."""
        shown = await self.page(await self.post(path, **fields))
        return shown.partition('class="said')[2].partition("</p>")[0]

    async def simulator(self, path: str) -> Any:
        async with self._http.get(self._cluster.control_url + path) as answer:
            return await answer.json()


@asynccontextmanager
async def visiting(cluster: Cluster) -> AsyncIterator[Visitor]:
    base = cluster.console_url.removesuffix("/console/")
    # Its cookie is of localhost, and the name is none of the test's.
    async with aiohttp.ClientSession(base, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        visitor = Visitor(http, cluster)
        login = {"username": cluster.user, "password": cluster.password}
        await visitor.post("/console/login", **login)
        yield visitor


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    async with running(**PAIR, console=True) as (cluster, _):
        yield cluster


async def test_from_the_first_message_to_a_fault(cluster: Cluster) -> None:
    async with visiting(cluster) as visitor:
        shown = await visitor.page("/console/try")
        assert "The simulator has not seen a message yet." in shown
        pids = [p.pid for name, p in cluster.processes.items() if name.startswith("coreapp")]
        assert any(f"kill -KILL {pid}" in shown for pid in pids)

        there = await visitor.post("/console/try/send", number=NUMBER, text="hello")
        id = there.removeprefix("/console/messages/").partition("?")[0]

        async def arrived() -> bool:
            return bool((await visitor.simulator("/record?ids=1"))["ids"] == {ID: [id]})

        await soon(arrived)
        assert f'href="/console/messages/{id}"' in await visitor.page("/console/try")

        said = await visitor.act("/console/try/inbound", number=NUMBER, name="Anna", text="secret")
        assert "from 491…21" in said
        assert "secret" not in said
        assert ID not in said
        assert (await visitor.simulator("/record"))["inbound"] == 1

        said = await visitor.act("/console/try/fault", name="unknown", value=f"{ID}, 49151")
        assert "unknown=491…21" in said
        assert (await visitor.simulator("/faults"))["unknown"] == [ID, "49151"]
        assert ID not in await visitor.page("/console/try")
        assert "no switch nothing" in await visitor.act(
            "/console/try/fault", name="nothing", value="1"
        )
        assert "all switches" in await visitor.act("/console/try/clear")
        assert (await visitor.simulator("/faults"))["unknown"] == []


async def test_metrics_come_within_seconds_and_in_each_range(cluster: Cluster) -> None:
    async with visiting(cluster) as visitor:

        async def known() -> bool:
            return "Memory, last 15 minutes: webapps" in await visitor.page(
                "/console/charts?range=15m"
            )

        await soon(known)
        assert "last 6 hours" in await visitor.page("/console/charts?range=6h")
        assert "last 1 hour" in await visitor.page("/console/charts")


async def test_a_simulator_that_is_away_is_said_and_the_page_stays(cluster: Cluster) -> None:
    async with visiting(cluster) as visitor:
        await cluster.processes["simulator"].stop()
        shown = await visitor.page("/console/try")
        assert f"No simulator answers at {cluster.control_url}" in shown
        assert "No simulator answers" in await visitor.act("/console/try/clear")

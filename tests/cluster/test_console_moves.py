"""The console beside real processes: set shards under traffic, and a coreapp that is killed."""

from __future__ import annotations

import html
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from tests.cluster.conftest import Start, unharmed
from tests.harness.facts import Facts
from tests.harness.wait import soon
from warouter.local.cluster import Cluster


class Looker:
    """An administrator at the console, without a script."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._base = url.removesuffix("/console/")

    async def get(self, path: str) -> str:
        async with self._client.get(self._base + path) as response:
            assert response.status == 200, (path, response.status)
            return await response.text()

    async def post(self, path: str, **fields: str) -> str:
        """The page that the form leads to."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        async with self._client.post(self._base + path, data=fields, headers=headers) as response:
            assert response.status == 200, (path, response.status)
            return await response.text()


@asynccontextmanager
async def looking(cluster: Cluster) -> AsyncIterator[Looker]:
    described = msgspec.json.decode((cluster.folder / "cluster.json").read_bytes())
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        looker = Looker(client, cluster.console_url)
        await looker.post(
            "/console/login", username=described["user"], password=described["password"]
        )
        yield looker


def cells(page: str) -> dict[int, str]:
    """What stands in each slot of the strip."""
    found = re.findall(r'<span id="slot-(\d+)"[^>]*>([^<]*)<', page)
    return {int(slot): html.unescape(text) for slot, text in found}


def rows(page: str, caption: str) -> list[list[str]]:
    """The cells of the table with this caption."""
    table = page.partition(caption)[2].partition("</table>")[0].partition("<tbody>")[2]
    return [
        [
            re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", cell))).strip()
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)
    ]


async def test_exactly_the_previewed_slots_move_under_traffic(start: Start) -> None:
    cluster, business = await start(shards=2, coreapps=5, console=True)
    async with looking(cluster) as looker, Facts(cluster) as facts:
        business.start(recipients=16)
        await business.more(50)
        before = await facts.map()
        page = await looker.get("/console/?shards=4")
        said = rows(page, "slots would move")
        version = re.search(r'name="version" value="(\d+)"', page)
        assert version is not None
        page = await looker.post("/console/shards", shards="4", version=version[1])
        assert "2 to 4 shards: 16 slots moved" in page
        after = await facts.map()
        moved = [
            was.slot
            for was, then in zip(before.slots, after.slots, strict=True)
            if was.owner != then.owner
        ]
        assert after.shards == 4
        assert len(moved) == 16 == sum(int(row[1]) for row in said)
        listed = rows(await looker.get("/console/failovers?reason=handover"), "the latest first")
        planned = {(slots, was, to) for slots, _, was, to in said}
        assert planned == {(row[1].rpartition(" ")[0], row[2], row[3]) for row in listed}
        await business.more(50)
    await unharmed(business)


async def test_a_coreapp_that_is_killed(start: Start) -> None:
    """Its node is dead, its slots are another's, and Failovers says why and for how long."""
    cluster, business = await start(shards=1, coreapps=2, console=True)
    async with looking(cluster) as looker, Facts(cluster) as facts:
        business.start(recipients=8)
        await business.more(20)
        old = (await facts.map()).slots[0]
        before = cells(await looker.get("/console/"))
        (await facts.process_of(old.owner)).kill(signal.SIGKILL)

        async def moved() -> bool:
            now = cells(await looker.get("/console/"))
            return all(now[slot] not in (before[slot], f"{before[slot]}→") for slot in range(32))

        await soon(moved)
        nodes = rows(await looker.get("/console/"), "Nodes</caption>")
        assert any(row[2] == "dead" for row in nodes)

        async def told() -> bool:
            [row] = rows(await looker.get("/console/failovers?reason=dead"), "the latest first")
            return row[1] == "0, 1 .. 31 (32)" and row[6] != "not known"

        await soon(told)
        await business.more(20)
    await unharmed(business)

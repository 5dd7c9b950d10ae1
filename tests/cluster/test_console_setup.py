"""The acts of the pages Number, Settings and Media, on a real cluster with its console."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.cluster.conftest import ONE, running
from tests.harness.business import Business
from tests.harness.canaries import CANARIES, found_in
from tests.harness.facts import Facts
from warouter.local.cluster import Cluster
from warouter.local.options import EMULATOR

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("console setup")]

OWN = {"Sec-Fetch-Site": "same-origin"}
READER = {"username": "reader", "password": "Re4der!passw0rd"}


class Visit:
    """Somebody who is logged in at the console."""

    def __init__(self, cluster: Cluster, http: aiohttp.ClientSession) -> None:
        self.origin = cluster.console_url.removesuffix("/console/")
        self._http = http

    async def log_in(self, username: str, password: str) -> None:
        status, _, _ = await self.post("login", username=username, password=password)
        assert status == 200

    async def get(self, page: str) -> str:
        async with self._http.get(f"{self.origin}/console/{page}") as answer:
            assert answer.status == 200
            return await answer.text()

    async def post(self, path: str, **fields: str) -> tuple[int, str, str]:
        """Status, type and text of what the act leads to."""
        async with self._http.post(
            f"{self.origin}/console/{path}", data=fields or {"x": ""}, headers=OWN
        ) as answer:
            return answer.status, answer.content_type, await answer.text()


class Scene:
    def __init__(self, cluster: Cluster, business: Business, facts: Facts, visit: Visit) -> None:
        self.cluster, self.business, self.facts, self.visit = cluster, business, facts, visit

    async def audited(self, action: str) -> list[str]:
        """The outcomes of the actions of this name, the oldest first."""
        rows = await self.facts.connection.fetch(
            "select e.outcome from audit b join audit e on e.of = b.id where b.action = $1"
            " order by b.id",
            action,
        )
        return [row["outcome"] for row in rows]

    async def settings(self) -> Any:
        url = f"{self.cluster.url}/v1/settings/application"
        async with self.business.http.get(url, headers=self.business.headers) as answer:
            return (await answer.json())["settings"]["application"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene() -> AsyncIterator[Scene]:
    environment = {"WA_API_KEY": CANARIES["api key"]}
    async with (
        running(**ONE, console=True, upstream=EMULATOR, environment=environment) as found,
        Facts(found[0]) as facts,
        aiohttp.ClientSession() as http,
    ):
        visit = Visit(found[0], http)
        await visit.log_in(found[0].user, found[0].password)
        yield Scene(*found, facts, visit)


async def test_a_check_with_meta_and_its_result(scene: Scene) -> None:
    status, _, page = await scene.visit.post("numbers/check")
    assert status == 200
    assert "11 steps" in page
    assert page.count('id="step-') == 11
    assert await scene.audited("check number") == ["done"]
    for name in ("token", "app-secret", "verify-token"):
        [secret] = [text for text in _secrets(scene.cluster, name) if text]
        assert secret not in page


async def test_a_setting_is_changed_through_the_api(scene: Scene) -> None:
    shown = await scene.visit.get("settings/change?preview=1&on_call_pager=anna")
    assert 'id="difference-on_call_pager"' in shown
    fields = {"on_call_pager": "anna", "was.on_call_pager": ""}
    _, _, page = await scene.visit.post("settings/change", **fields)
    assert "on_call_pager" in page
    assert (await scene.settings())["on_call_pager"] == "anna"
    assert (await scene.audited("PATCH /v1/settings/application"))[-1] == "done"
    # And whoever looks sees who did it.
    assert f"<td>{scene.cluster.user}</td>" in await scene.visit.get("settings?q=on_call_pager")


async def test_refusals_of_the_api_are_shown_in_its_words(scene: Scene) -> None:
    before = await scene.settings()
    _, _, page = await scene.visit.post("settings/change", **{"webhooks.url": "ftp://a.example/"})
    assert "400/1009 webhooks.url must start with" in page
    assert (await scene.audited("change settings"))[-1].startswith("400/1009")
    assert await scene.settings() == before


async def test_the_support_bundle_has_every_node_and_no_secret(scene: Scene) -> None:
    status, kind, text = await scene.visit.post("settings/support")
    assert (status, kind) == (200, "application/json")
    assert "coreapp-1" in text
    assert "WAROUTER_CLOUD_TOKEN_FILE=***" in text
    assert not [name for name, canary in CANARIES.items() if canary in text]
    assert scene.cluster.password not in text
    assert await scene.audited("download support bundle") == ["done"]
    page = await scene.visit.get("settings")
    assert CANARIES["api key"] not in page
    assert 'id="variable-WA_API_KEY"' in page


async def test_a_collection_is_asked_for_through_the_api(scene: Scene) -> None:
    _, _, page = await scene.visit.post("media/collect")
    assert "collect garbage" in page
    assert await scene.audited("PUT /v1/services/message/gc") == ["done"]


async def test_a_reader_can_change_nothing_of_the_set_up(scene: Scene) -> None:
    await scene.business.call("POST", "/v1/users", json=READER)
    async with aiohttp.ClientSession() as http:
        visit = Visit(scene.cluster, http)
        await visit.log_in(**READER)
        for page in ("numbers", "settings", "media"):
            assert 'method="post" action="/console/' + page not in await visit.get(page)
        for act in ("numbers/check", "settings/change", "settings/support", "media/collect"):
            status, _, _ = await visit.post(act)
            assert status == 403


def _secrets(cluster: Cluster, name: str) -> list[str]:
    return Path(cluster.folder / f"emulator-{name}").read_text().split("\n")


async def test_no_page_shows_a_number_within_an_id_to_who_only_reads(scene: Scene) -> None:
    """Meta's ids of messages have the customer's number in base64, whole."""
    sender = CANARIES["sender"]
    (inbound,) = await scene.business.come({"from": sender, "body": "hello"})
    await scene.business.receiver.until(lambda: inbound in scene.business.receiver.messages)
    secrets = [("sender", sender.encode())]
    assert found_in({"the callback": inbound.encode()}, secrets)  # there the id is Meta's own
    async with aiohttp.ClientSession() as http:
        visit = Visit(scene.cluster, http)
        await visit.log_in(**READER)
        names = ("messages", "webhook", "", "failovers", "numbers", "access", "settings", "charts")
        pages = {name: (await visit.get(name)).encode() for name in names}
        (link,) = set(re.findall(rb'href="(/console/messages/[^"]+)"', pages["messages"]))
        pages["message"] = (await visit.get(link.decode().removeprefix("/console/"))).encode()
    assert found_in(pages, secrets) == set()

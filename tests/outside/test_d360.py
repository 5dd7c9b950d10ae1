"""A client of 360dialog's v1 sets its webhook at a cluster, and sends by it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.integration import CLOUD, Integration, installed
from tests.outside.conftest import ask

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("outside_d360")]

WITNESS = "write_waba360"
TO = "250788123998"
FEW = {"shards": 1, "coreapps": 1, "masters": 1, "webapps": 1}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site() -> AsyncIterator[Integration]:
    async with installed(CLOUD, environment={"WAROUTER_D360": "1"}, **FEW) as found:
        await found.faults(categories={"order": "UTILITY"}, level=0, pair_s=0)
        yield found


async def test_a_client_is_called_back_for_its_messages(site: Integration) -> None:
    hook = f"{site.receiver.url}/of-waba-360"
    verbs = ("webhook", "text", "template")
    key = await site.key_of("send", "settings")
    where = f"{site.cluster.url}/v1/", key, hook, TO
    webhook, *sent = await ask(WITNESS, verbs, *where)
    assert (webhook["url"], webhook["headers"]) == (hook, {})
    for answer in sent:
        await site.receiver.status(answer["messages"][0]["id"], "read")
    posts = [post for post in site.receiver.posts if post.path.endswith("/of-waba-360")]
    assert len(posts) == 3 * len(sent)
    assert {len(post.events) for post in posts} == {1}


async def test_a_wrong_key_is_an_error_to_it(site: Integration) -> None:
    where = f"{site.cluster.url}/v1/", "wrong", site.receiver.url, TO
    for answer in await ask(WITNESS, ("webhook", "text"), *where):
        assert "401" in answer["refused"]

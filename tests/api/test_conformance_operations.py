"""The cases of real clients, by id: health, settings, figures and shards, with each upstream."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import pytest

from tests.harness import exposition
from tests.harness.integration import API_KEY, CLOUD, TEXT, Integration
from tests.harness.wait import PATIENCE
from warouter.api.groups import ROUTES as GROUPS

pytestmark = pytest.mark.asyncio(loop_scope="session")

SETTINGS = "/v1/settings/application"
PLAIN = ("/v1/stats/app", "/v1/stats/db")
OTHERS = [("GET", "/v1/stats/app/more"), ("POST", "/v1/messages/batch/more"), ("GET", "/v2")]
KEY = {"Authorization": f"Apikey {API_KEY}"}


async def got(site: Integration, path: str, **options: Any) -> Any:
    reply = await site.call("GET", path, **options)
    assert reply.status == 200, reply.body
    assert "errors" not in reply.json
    return reply.json


async def test_c06_health_of_a_cluster(site: Integration) -> None:
    nodes = (await got(site, "/v1/health"))["health"]
    assert all(re.fullmatch(r"[^:]+:[^:]+", name) for name in nodes)
    states = [(node["role"], node["gateway_status"]) for node in nodes.values()]
    roles = Counter(role for role, _ in states)
    assert roles == {"coreapp": 3, "primary_master": 1, "secondary_master": 1}
    assert states.count(("coreapp", "connected")) >= 2  # one owner a shard; the third is spare


async def test_c06_health_of_a_single_instance(strict: Integration) -> None:
    assert (await got(strict, "/v1/health"))["health"] == {"gateway_status": "connected"}


async def test_c07_the_version(site: Integration) -> None:
    found = re.fullmatch(
        r"v?(\d+)\.(\d+)\.(\d+)", (await got(site, "/v1/health"))["meta"]["version"]
    )
    assert found is not None
    assert tuple(map(int, found.groups())) >= (2, 35, 2)


async def test_c08_the_key_of_a_monitor(site: Integration) -> None:
    assert (await got(site, "/v1/health", headers=KEY))["health"]
    for wrong in ({}, {"Authorization": f"Apikey {API_KEY}x"}, {"Authorization": "Apikey"}):
        (await site.call("GET", "/v1/health", headers=wrong)).refused(401, 1005)


async def test_c09_c10_settings_of_an_integration(site: Integration) -> None:
    before = (await got(site, SETTINGS))["settings"]["application"]
    hook = before["webhooks"]["url"]
    limits = {
        "messaging_api_rate_limit": ["15", "54600", "1000000"],
        "contacts_scrape_rate_limit": "1000000",
        "contacts_api_rate_limit": ["15", "54600", "1000000"],
    }
    for patch in ({"webhooks": {"url": f"{hook}/2"}}, {"webhooks": {"url": hook}}, limits):
        (await site.call("PATCH", SETTINGS, patch)).done()
        shown = (await got(site, SETTINGS))["settings"]["application"]
        url = patch.get("webhooks", {"url": hook})["url"]
        assert shown == before | {"webhooks": before["webhooks"] | {"url": url}}


async def test_c11_what_a_keep_alive_reads(site: Integration) -> None:
    for path in (SETTINGS, "/v1/settings/profile/about", "/v1/settings/business/profile"):
        assert isinstance((await got(site, path))["settings"], dict)


async def test_c12_garbage_collection(site: Integration) -> None:
    (await site.call("PUT", "/v1/services/message/gc")).done()


@pytest.mark.parametrize("path", PLAIN)
async def test_c13_c14_figures_in_both_forms(site: Integration, path: str) -> None:
    metrics = (await got(site, path))["stats"][path.rpartition("/")[2]]
    assert metrics
    for metric in metrics.values():
        assert metric["type"] in ("counter", "gauge")
        assert metric["help"]
        assert all(set(point) <= {"labels", "value"} for point in metric["data"])
    reply = await site.call("GET", f"{path}?format=prometheus")
    assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    assert {value.name for value in exposition.read(reply.body.decode())}


@pytest.mark.parametrize("path", ["/metrics", "/v1/metrics"])
async def test_c15_what_is_scraped(site: Integration, path: str) -> None:
    await site.sent(TEXT)
    wanted = {"web_uptime", "web_requests", "api_requests_duration_ms_sum", "callback_queue_size"}
    # A process reports its figures every few seconds.
    async with asyncio.timeout(PATIENCE):
        while True:
            reply = await site.call("GET", f"{path}?format=prometheus")
            assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (
                200,
                "text/plain",
            )
            values = list(exposition.read(reply.body.decode()))
            if wanted <= {value.name for value in values}:
                break
            await asyncio.sleep(0.2)
    sums = [v.labels for v in values if v.name == "api_requests_duration_ms_sum"]
    assert any(
        {"node", "result", "method"} <= set(labels)
        and (labels["method"], labels["result"]) == ("POST_v1_messages", "201")
        for labels in sums
    )


async def test_c16_a_load_balancer_asks_also_without_any_coreapp(strict: Integration) -> None:
    (coreapp,) = [p for p in strict.cluster.processes.values() if p.role == "coreapp"]
    assert (await strict.call("GET", "/", headers={})).status == 200
    await coreapp.stop()
    try:
        assert (await strict.call("GET", "/", headers={})).status == 200
    finally:
        await strict.cluster.again(coreapp)
    message_id = await strict.sent({**TEXT, "to": await strict.checked("250788123100")})
    await strict.receiver.status(message_id, "delivered")


async def test_c45_the_identity_of_a_contact(site: Integration) -> None:
    path = "/v1/contacts/250788123777/identity"
    (await site.call("GET", path)).refused(404, 1006)
    (await site.call("PUT", path, {"hash": "x"})).refused(404, 1006)
    known = await site.inject({"from": "250788123778", "type": "text", "body": "hello"})
    await site.receiver.message(known)
    path = "/v1/contacts/250788123778/identity"
    shown = await site.call("GET", path)
    if site.upstream == CLOUD and shown.status == 404:
        shown.refused(404, 1006)  # Meta has told of no hash: it does where that is switched on
        return
    identity = shown.json["identity"]
    acknowledged = await site.call("PUT", path, {"hash": identity["hash"]})
    assert acknowledged.json["identity"] == identity | {"acknowledged": True}


async def test_c46_every_count_of_shards(site: Integration) -> None:
    d = site.cluster.description()
    number = {"cc": d["cc"], "phone_number": d["phone_number"]}
    cert = {"cert": d["cert"]}
    for shards, more in (
        (1, cert),
        (4, {"pin": None}),
        ("8", cert | {"pin": None}),
        (16, {}),
        (32, {}),
        (2, cert),
    ):
        wish = number | {"shards": shards} | more
        reply = await site.call("POST", "/v1/account/shards", wish)
        assert reply.status == 201, reply.body
        shown = await site.call("GET", "/v1/account/shards")
        assert shown.json["account"] == {"shards": int(str(shards))}
    await site.sent(TEXT)


async def test_c47_no_count_of_shards_and_one_while_another_is_made(site: Integration) -> None:
    d = site.cluster.description()
    wish = {"cc": d["cc"], "phone_number": d["phone_number"]}
    path = "/v1/account/shards"
    (await site.call("POST", path, wish | {"shards": 3})).refused(400, 1009)
    counts = (1, 4, 8, 16)
    calls = (site.call("POST", path, wish | {"shards": count}) for count in counts)
    for reply in await asyncio.gather(*calls):
        if reply.status != 201:
            reply.refused(403, 1011)
            assert int(reply.headers["Retry-After"]) >= 1
    async with asyncio.timeout(PATIENCE):
        while (reply := await site.call("POST", path, wish | {"shards": 2})).status != 201:
            reply.refused(403, 1011)
            await asyncio.sleep(int(reply.headers["Retry-After"]))


async def test_c48_what_is_not_supported(site: Integration) -> None:
    for method, path in [(r.method, r.path.replace("{group}", "1")) for r in GROUPS] + OTHERS:
        body = {} if method in ("POST", "PUT", "PATCH") else None
        (await site.call(method, path, body)).refused(404, 1006)

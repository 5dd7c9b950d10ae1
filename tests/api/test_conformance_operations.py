"""The cases of real clients, by id: health, settings, figures, clean-up, shards."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest

from tests.harness.documented import rows
from tests.harness.integration import API_KEY, TEXT, Integration
from warouter.api.app import ROUTES
from warouter.local.seed import ready_map

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]


async def test_every_endpoint_of_the_docs_is_served() -> None:
    promised = {route for route, row in rows().items() if row.kind != "not there"}
    assert promised - {(r.method, r.path) for r in ROUTES} == set()


async def test_c06_health_is_a_map_of_nodes(site: Integration) -> None:
    reply = await site.call("GET", "/v1/health")
    assert reply.status == 200
    nodes = reply.json["health"]
    assert all(":" in name for name in nodes)
    states = {"connected", "connecting", "disconnected", "uninitialized", "unregistered"}
    for node in nodes.values():
        assert node["gateway_status"] in states
        assert node["role"] in ("primary_master", "secondary_master", "coreapp")
    roles = [node["role"] for node in nodes.values()]
    assert (roles.count("coreapp"), roles.count("primary_master")) == (3, 1)
    owners = [n for n in nodes.values() if n["role"] == "coreapp"]
    assert sum(n["gateway_status"] == "connected" for n in owners) == 2
    assert set(reply.json["meta"]) == {"api_status", "version"}


async def test_c07_the_version_compares(site: Integration) -> None:
    version = (await site.call("GET", "/v1/health")).json["meta"]["version"]
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", version)
    assert found is not None
    assert tuple(map(int, found.groups())) >= (2, 35, 2)


async def test_c09_the_webhook_alone_changes(site: Integration) -> None:
    before = await site.settings()
    try:
        body = {"webhooks": {"url": "https://example.com/wa/receive"}}
        reply = await site.call("PATCH", "/v1/settings/application", body)
        assert reply.status == 200
        assert isinstance(reply.json, dict)
        after = await site.settings()
        assert after["webhooks"].pop("url") == "https://example.com/wa/receive"
        old = before["webhooks"].pop("url")
        assert after == before
    finally:
        await site.configure({"webhooks": {"url": old}})


async def test_c10_rate_limits_of_rapidpro(site: Integration) -> None:
    before = await site.settings()
    body = {
        "messaging_api_rate_limit": ["15", "54600", "1000000"],
        "contacts_scrape_rate_limit": "1000000",
        "contacts_api_rate_limit": ["15", "54600", "1000000"],
    }
    reply = await site.call("PATCH", "/v1/settings/application", body)
    assert reply.status == 200
    assert await site.settings() == before


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/v1/settings/application", ("settings", "application")),
        ("/v1/settings/profile/about", ("settings", "profile")),
        ("/v1/settings/business/profile", ("settings", "business")),
    ],
)
async def test_c11_settings_of_a_fresh_install(
    site: Integration, path: str, keys: tuple[str, str]
) -> None:
    reply = await site.call("GET", path)
    assert reply.status == 200
    assert isinstance(reply.json[keys[0]][keys[1]], dict)


async def test_c12_garbage_collection(site: Integration) -> None:
    for data in (None, b""):
        reply = await site.call("PUT", "/v1/services/message/gc", data=data)
        assert 200 <= reply.status < 300
        assert isinstance(reply.json, dict)


@pytest.mark.parametrize("name", ["app", "db"])
async def test_c13_stats(site: Integration, name: str) -> None:
    for headers in (None, {"Authorization": f"Apikey {API_KEY}"}):
        reply = await site.call("GET", f"/v1/stats/{name}", headers=headers)
        assert reply.status == 200
        metrics = reply.json["stats"][name]
        assert metrics
        for metric in metrics.values():
            assert metric["type"] in ("gauge", "counter")
            assert metric["help"]
            for sample in metric["data"]:
                assert isinstance(sample["value"], int | float)
                assert isinstance(sample.get("labels", {}), dict)


@pytest.mark.parametrize("name", ["app", "db"])
async def test_c14_stats_as_text(site: Integration, name: str) -> None:
    reply = await site.call("GET", f"/v1/stats/{name}?format=prometheus")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert re.search(rb"^[a-z_]+(\{.*\})? [0-9.e+-]+", reply.body, re.MULTILINE)


@pytest.mark.parametrize("path", ["/metrics", "/v1/metrics"])
async def test_c15_metrics(site: Integration, path: str) -> None:
    assert (await site.send()).status == 201
    reply = await site.call("GET", f"{path}?format=prometheus")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain")
    text = reply.body.decode()
    for name in ("web_uptime", "web_requests", "callback_queue_size"):
        assert re.search(rf"^{name}(\{{.*\}})? \d", text, re.MULTILINE), name
    line = re.search(
        r'^api_requests_duration_ms_sum\{(.*method="POST_v1_messages".*)\}', text, re.M
    )
    assert line is not None
    assert "node=" in line[1]
    assert "result=" in line[1]


async def test_c15_the_callback_queue_is_where_coreapps_are_seen(site: Integration) -> None:
    reply = await site.call("GET", "/v1/stats/app")
    assert "callback_queue_size" in reply.json["stats"]["app"]


async def set_shards(site: Integration, shards: object, **more: Any) -> Any:
    d = site.cluster.description()
    body = {"cc": d["cc"], "phone_number": d["phone_number"], "shards": shards, **more}
    return await site.call("POST", "/v1/account/shards", body)


async def test_c46_every_count_of_shards(site: Integration) -> None:
    cert = site.cluster.description()["cert"]
    for shards, more in (
        (1, {"cert": cert}),
        (4, {"pin": None}),
        ("8", {"cert": cert, "pin": None}),
        (16, {}),
        (32, {}),
        (2, {"cert": cert}),
    ):
        reply = await set_shards(site, shards, **more)
        assert reply.status == 201, reply.body
        shown = await site.call("GET", "/v1/account/shards")
        assert shown.status == 200
        assert shown.json["account"] == {"shards": int(str(shards))}
    await site.sent(TEXT)


async def test_c47_three_shards_and_two_changes_at_once(site: Integration) -> None:
    (await set_shards(site, 3)).refused(400, 1009)
    replies = await asyncio.gather(*(set_shards(site, shards) for shards in (4, 8, 4, 8)))
    assert {r.status for r in replies} <= {201, 403}
    for reply in replies:
        if reply.status == 403:
            assert int(reply.headers["Retry-After"]) >= 1
            reply.refused(403, 1011)
    for _ in range(30):
        reply = await set_shards(site, 2)
        if reply.status != 403:
            break
        await asyncio.sleep(int(reply.headers["Retry-After"]))
    assert reply.status == 201


async def test_c16_the_balancer_sees_a_webapp_without_coreapps(site: Integration) -> None:
    await alive(site)
    coreapps = [p for p in site.cluster.processes.values() if p.role == "coreapp"]
    await asyncio.gather(*(p.stop() for p in coreapps))
    try:
        for _ in range(5):
            await alive(site)
    finally:
        await asyncio.gather(*(site.cluster.again(p) for p in coreapps))
        await ready_map(site.cluster.settings, 30)


async def alive(site: Integration) -> None:
    began = time.monotonic()
    reply = await site.call("GET", "/", headers={})
    assert 200 <= reply.status < 400
    assert time.monotonic() - began < 5  # what its health check waits

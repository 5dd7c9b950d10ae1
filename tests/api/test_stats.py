"""/metrics, /v1/stats, /v1/support and the rate limits (C13-C15, C37)."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.harness import exposition
from tests.harness.api import API_KEY, USER_PASSWORD, Api, Webapp, basic
from warouter.http.rates import RateLimit, Rates, parse_rates
from warouter.metrics import Sample
from warouter.store.bounded import fetcher
from warouter.store.migrations import migrations
from warouter.store.reports import FRESH_SECONDS, ReportBody, ReportWriter

PAGES = ("/metrics", "/v1/metrics", "/v1/stats/app", "/v1/stats/db")
INTERNAL = ("/v1/stats/app/internal", "/v1/stats/db/internal")
KEY = {"Authorization": f"Apikey {API_KEY}"}
MESSAGE = {"to": "250788123123", "type": "text", "text": {"body": "Simple Message"}}
FACTS = {
    "description": "warouter 9.9",
    "device_iso8601": "2026-11-24T22:00:00+00:00",
    "env": ["WA_DB_ENGINE=PGSQL", "WA_DB_PASSWORD=***"],
    "free_space": 4096,
    "os_name": "Debian",
    "os_version": "13",
    "socket_conn": "UP",
}


async def report(
    pool: asyncpg.Pool, node: str, role: str, *samples: Sample, incarnation: UUID | None = None
) -> UUID:
    who = incarnation or uuid4()
    writer = ReportWriter(fetcher(pool), who, node, role)
    await writer.write(ReportBody(list(samples), FACTS))
    return who


@pytest.fixture(autouse=True)
async def empty(pool: asyncpg.Pool) -> None:
    await pool.execute("delete from report")


async def test_c13_c14_each_page_in_both_forms(api: Api) -> None:
    await api.call("GET", "/v1/health", headers=KEY)  # something to count
    for path in (*PAGES, *INTERNAL):
        answer = await api.call("GET", path, headers=KEY)
        assert answer.status == 200
        assert "errors" not in answer.json
        content: Any = answer.json
        keys = ["metrics"] if path.endswith("metrics") else path.strip("/").split("/")[1:]
        for key in keys:
            content = content[key]
        for metric in content.values():
            assert metric["type"] in ("counter", "gauge")
            assert metric["help"]
            assert all(set(point) == {"labels", "value"} for point in metric["data"])
        text = await api.call("GET", f"{path}?format=prometheus", token=api.user)
        assert text.status == 200
        assert text.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert {v.name for v in exposition.read(text.body.decode())} == set(content)
        (await api.call("GET", f"{path}?format=xml", token=api.user)).refused(400, 1009)
        empty = await api.call("GET", f"{path}?format=", token=api.user)
        assert set(empty.json) == set(answer.json)


async def test_c15_requests_are_counted_by_method_and_result(api: Api) -> None:
    assert (await api.send(MESSAGE)).status == 201
    assert (await api.send(MESSAGE)).status == 201
    assert (await api.send({})).status == 400
    assert (await api.call("GET", "/v1/users/nobody", token=api.admin)).status == 404
    assert (await api.call("GET", "/made/up/17")).status == 404
    answer = await api.call("GET", "/metrics?format=prometheus", headers=KEY)
    counts = {
        (v.labels["method"], v.labels["result"]): v.value
        for v in exposition.read(answer.body.decode())
        if v.name == "api_requests_duration_ms_count"
    }
    assert counts == {
        ("POST_v1_messages", "201"): 2,
        ("POST_v1_messages", "400"): 1,
        ("GET_v1_users_username", "404"): 1,
        ("other", "404"): 1,
    }
    form = (await api.call("GET", "/metrics", headers=KEY)).json["metrics"]
    sums = form["api_requests_duration_ms_sum"]["data"]
    assert {point["labels"]["node"] for point in sums} == {"h:webapp-1"}
    assert all(isinstance(point["value"], int) for point in sums)  # some clients read only those


async def test_figures_of_every_process_are_on_its_page(api: Api, pool: asyncpg.Pool) -> None:
    await report(
        pool,
        "h:coreapp-1",
        "coreapp",
        Sample("callback_queue_size", 3),
        Sample("callback_requests", 7, {"result": "success", "type": "status_change"}),
        Sample("warouter_cloud_held", 2),
        Sample("warouter_slot_epoch", 9, {"slot": "0"}),
        Sample("warouter_process_open_files", 20),
        Sample("warouter_of_a_newer_build", 1),
    )
    await report(pool, "h:master-1", "master", Sample("warouter_master_leads", 1))
    await report(
        pool,
        "h:webapp-2",
        "webapp",
        Sample("web_uptime", 12),
        Sample("endpoint_requests", 5, {"method": "POST_v1_messages", "result": "201"}),
        Sample("warouter_process_open_files", 30),
    )

    async def page(path: str) -> dict[str, list[Any]]:
        answer = await api.call("GET", f"{path}?format=prometheus", headers=KEY)
        found: dict[str, list[Any]] = {}
        for value in exposition.read(answer.body.decode()):
            found.setdefault(value.name, []).append((value.labels, value.value))
        return found

    web, app, internal = [
        await page(path) for path in ("/metrics", "/v1/stats/app", "/v1/stats/app/internal")
    ]
    assert web["web_uptime"] == [({"node": "h:webapp-2"}, 12)]
    assert web["warouter_process_open_files"] == [({"node": "h:webapp-2"}, 30)]
    assert app["callback_queue_size"] == [({"node": "h:coreapp-1"}, 3)]
    assert app["warouter_cloud_held"] == [({"node": "h:coreapp-1"}, 2)]
    for name in ("callback_queue_size", "warouter_cloud_held"):
        assert web[name] == app[name]
    assert "callback_requests" not in web
    labels = {"result": "success", "type": "status_change", "node": "h:coreapp-1"}
    assert app["callback_requests"] == [(labels, 7)]
    assert app["warouter_master_leads"] == [({"node": "h:master-1"}, 1)]
    assert app["warouter_process_open_files"] == [({"node": "h:coreapp-1"}, 20)]
    assert len(app["endpoint_requests"]) == 1
    assert internal == {"warouter_slot_epoch": [({"slot": "0", "node": "h:coreapp-1"}, 9)]}
    assert "warouter_of_a_newer_build" not in app


async def test_a_node_that_was_restarted_is_shown_once(api: Api, pool: asyncpg.Pool) -> None:
    for size in (1, 2):
        await report(pool, "h:coreapp-1", "coreapp", Sample("callback_queue_size", size))
    stats = (await api.call("GET", "/v1/stats/app", headers=KEY)).json["stats"]["app"]
    data = stats["callback_queue_size"]["data"]
    assert data == [{"labels": {"node": "h:coreapp-1"}, "value": 2}]


async def test_a_silent_process_is_not_shown_and_later_removed(
    api: Api, pool: asyncpg.Pool
) -> None:
    gone = await report(pool, "h:coreapp-1", "coreapp", Sample("callback_queue_size", 1))
    await pool.execute("update report set at = at - make_interval(secs => $1)", FRESH_SECONDS + 1)
    assert (await api.call("GET", "/v1/stats/app", headers=KEY)).json["stats"]["app"] == {}
    await pool.execute("update report set at = at - interval '1 minute'")
    await report(pool, "h:coreapp-2", "coreapp")
    left = [r["incarnation"] for r in await pool.fetch("select incarnation from report")]
    assert gone not in left
    assert len(left) == 1


async def test_without_the_database_a_webapp_speaks_of_itself(api: Api, pool: asyncpg.Pool) -> None:
    await api.call("GET", "/")
    await api.call("GET", "/metrics", headers=KEY)
    pool.terminate()
    answer = await api.call("GET", "/metrics", headers=KEY)
    assert answer.status == 200
    assert "api_requests_duration_ms_count" in answer.json["metrics"]
    for path in ("/v1/stats/app", "/v1/stats/db", "/v1/stats/db/internal"):
        away = await api.call("GET", path, headers=KEY)
        away.refused(503, 1011)
        assert away.headers["Retry-After"] == "1"


# support


async def test_support_of_a_cluster(api: Api, pool: asyncpg.Pool) -> None:
    owner, leader = [
        await report(pool, f"h:{name}", role)
        for name, role in (("coreapp-1", "coreapp"), ("master-1", "master"))
    ]
    for name, role in (("coreapp-2", "coreapp"), ("master-2", "master"), ("web-2", "webapp")):
        await report(pool, f"h:{name}", role)
    await pool.execute("update shard_map set shards = 2")
    await pool.execute("update slot set owner = case when slot % 2 = 1 then $1::uuid end", owner)
    await pool.execute("update term set incarnation = $1", leader)
    try:
        answer = await api.call("GET", "/v1/support", token=api.admin)
        assert (await api.call("GET", "/v1/support", token=api.user)).status == 403
    finally:
        await pool.execute("update shard_map set shards = 1")
        await pool.execute("update slot set owner = null")
        await pool.execute("update term set incarnation = null")
    nodes = answer.json["support"]
    assert {name: (n["role"], n["shards"]) for name, n in nodes.items()} == {
        "h:coreapp-1": ("coreapp", [[1, 1]]),
        "h:coreapp-2": ("coreapp", []),
        "h:master-1": ("primary_master", [[-1, -1]]),
        "h:master-2": ("secondary_master", []),
    }
    node = nodes["h:coreapp-1"]
    assert node["db_engine"] == "PGSQL"
    assert node["debug_info"] == "unregistered"
    assert node["multi_connect"] is True
    assert node["socket_conn"] == "UP"
    assert node["expire_timestamp"] > 2_000_000_000
    assert node["schema"]["axolotl"] == migrations()[-1].version
    assert set(node) >= {
        *("context", "db_info", "description", "device_iso8601", "e2e", "env", "lc", "lg"),
        *("free_space_data", "free_space_logs", "free_space_media_incoming"),
        *("free_space_media_outgoing", "os_name", "os_version"),
    }


async def test_support_of_a_single_instance(webapp: Webapp, pool: asyncpg.Pool) -> None:
    single = await webapp(multiconnect=False)
    assert (await single.call("GET", "/v1/support", token=single.admin)).json["support"] == {}
    await report(pool, "h:coreapp-1", "coreapp")
    owner = await report(pool, "h:coreapp-2", "coreapp")
    await single.context.accounts.save_account(1, "1", "6315550000", "cert", b"k" * 32)
    await pool.execute("update slot set owner = $1", owner)
    try:
        answer = await single.call("GET", "/v1/support", token=single.admin)
    finally:
        await pool.execute("update slot set owner = null")
    node = answer.json["support"]
    assert (node["context"], node["shards"]) == ("h:coreapp-2", [[-1, -1], [0, 0]])
    assert (node["debug_info"], node["multi_connect"]) == ("16315550000", False)


# rate limits and overload


async def test_c37_the_product_s_rate_limits(api: Api) -> None:
    api.context.operations.rates = parse_rates("product")
    answers = await asyncio.gather(*(api.send(MESSAGE) for _ in range(400)))
    passed = [a for a in answers if a.status == 201]
    refused = [a for a in answers if a.status == 429]
    assert len(passed) + len(refused) == 400
    assert 150 <= len(passed) < 400
    assert {(a.code, a.headers["Retry-After"]) for a in refused} == {(1015, "1")}
    assert len(api.recorder.submitted) == len(passed)
    # The others have a bucket of their own, and who watches or asks without a token has none.
    contacts = {"contacts": ["+250788123123"]}
    others = [
        (await api.call("POST", "/v1/contacts", contacts, token=api.user)).status for _ in range(60)
    ]
    assert set(others) == {200}
    for method, path in (("GET", "/"), ("GET", "/v1/health"), ("GET", "/metrics")):
        for _ in range(70):
            assert (await api.call(method, path, headers=KEY)).status == 200
    assert (await api.call("POST", "/v1/messages", MESSAGE)).status == 401
    metrics = (await api.call("GET", "/metrics", headers=KEY)).json["metrics"]
    limited = metrics["warouter_requests_limited_total"]["data"][0]["value"]
    assert limited == len(refused)


async def test_strangers_take_nothing_from_what_users_may_do(api: Api) -> None:
    """As many log-ins as the bucket has drained it for everybody."""
    api.context.operations.rates = Rates(RateLimit(0.001, 20), RateLimit(0.001, 20))
    strangers = [await api.login("nobody", "wrong") for _ in range(25)]
    assert {a.status for a in strangers} == {401, 429}
    right = {"Authorization": basic("worker", USER_PASSWORD)}
    assert (await api.call("POST", "/v1/users/login", headers=right)).status == 200
    for _ in range(20):
        assert (await api.call("GET", "/v1/stickerpacks", token=api.user)).status == 200
    assert (await api.call("GET", "/v1/stickerpacks", token=api.user)).status == 429


async def test_users_do_not_share_a_limit(api: Api) -> None:
    api.context.operations.rates = Rates(RateLimit(0.001, 3), RateLimit(0.001, 3))
    packs, sent = "/v1/stickerpacks", ("POST", "/v1/messages", MESSAGE)
    assert [(await api.send(MESSAGE)).status for _ in range(4)] == [201] * 3 + [429]
    assert [(await api.call("GET", packs, token=api.user)).status for _ in range(4)][-1] == 429
    assert [(await api.call(*sent, token=api.admin)).status for _ in range(4)] == [201] * 3 + [429]
    assert (await api.call("GET", packs, token=api.admin)).status == 200


async def test_retry_after_says_when_a_token_is_there(api: Api) -> None:
    api.context.operations.rates = Rates(RateLimit(0.25, 1), RateLimit(100, 100))
    assert (await api.send(MESSAGE)).status == 201
    refused = await api.send(MESSAGE)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "4")

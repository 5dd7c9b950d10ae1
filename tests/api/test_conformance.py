"""The cases of real clients, by id, against a real cluster: users, health, settings, sending."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.harness.integration import API_KEY, TEXT, Integration
from tests.harness.wait import PATIENCE
from warouter.local.seed import ready_map

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]

TO = "250788123123"
LINK = {"link": "https://example.com/file"}
BUTTONS = {"buttons": [{"type": "reply", "reply": {"id": "0", "title": "BUTTON1"}}]}


# ---------------------------------------------------------------- users


async def test_c01_login_without_a_body(site: Integration) -> None:
    for headers in ({}, {"Content-Type": "application/json"}, {"Content-Length": "0"}):
        reply = await site.login(headers={"Authorization": site.basic, **headers})
        assert reply.status == 200
        assert reply.json["users"][0]["token"]


@pytest.mark.parametrize("body", [b"null", b"[]", b"{}", b" "])
async def test_c01_login_with_what_means_no_body(site: Integration, body: bytes) -> None:
    headers = {"Authorization": site.basic, "Content-Type": "application/json"}
    reply = await site.login(data=body, headers=headers)
    assert reply.status == 200


async def test_c01_a_client_that_waits_to_be_asked_is_asked_for_basic(site: Integration) -> None:
    reply = await site.login(headers={})
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == 'Basic realm="warouter"'
    other = await site.call("GET", "/v1/health", headers={})
    assert other.headers["WWW-Authenticate"] == 'Bearer realm="warouter"'


async def test_c02_login_with_the_same_password_as_new(site: Integration) -> None:
    reply = await site.login(body={"new_password": site.cluster.password})
    assert reply.status == 200
    expires = reply.json["users"][0]["expires_after"]
    assert expires.endswith("+00:00")
    ends = datetime.strptime(expires.split("+")[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(ends - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=2)


@pytest.mark.asyncio(loop_scope="function")
async def test_c03_a_fresh_install(fresh: Api) -> None:
    for body in (None, {"new_password": ""}, {"new_password": "secret"}):
        refused = await fresh.login("admin", "secret", body)
        assert (refused.status, refused.code) == (401, 1024)
        assert refused.error["title"] == "Password change required"
    weak = await fresh.login("admin", "secret", {"new_password": "weakpassword"})
    assert (weak.status, weak.code) == (400, 1009)
    changed = await fresh.login("admin", "secret", {"new_password": "N3w!passw"})
    assert changed.status == 200
    assert changed.json["users"][0]["token"]
    assert (await fresh.login("admin", "N3w!passw")).status == 200
    assert (await fresh.login("admin", "secret")).code == 1005


async def test_c04_a_wrong_password(site: Integration) -> None:
    for pair in (b"admin:wrong", b"nobody:wrong", b":", b"admin"):
        basic = f"Basic {base64.b64encode(pair).decode()}"
        error = (await site.login(headers={"Authorization": basic})).refused(401, 1005)
        assert (error["title"], error["details"]) == ("Access denied", "Invalid credentials.")
    for malformed in ("Basic ====", "Basic", ""):
        (await site.login(headers={"Authorization": malformed})).refused(401, 1005)


async def test_c05_login_with_a_json_body(site: Integration) -> None:
    for body in ({}, {"new_password": ""}, {"new_password": None}, {"other": 1}):
        reply = await site.login(body=body)
        assert reply.status == 200
        assert set(reply.json["users"][0]) == {"token", "expires_after"}


# ---------------------------------------------------------------- health and settings


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


async def test_c08_the_api_key(site: Integration) -> None:
    reply = await site.call("GET", "/v1/health", headers={"Authorization": f"Apikey {API_KEY}"})
    assert reply.status == 200
    for wrong in (
        f"Apikey {API_KEY}x",
        f"Apikey {API_KEY[:-1]}",
        "Apikey",
        f"Bearer {API_KEY}",
        "Apikey " + "a" * 129,
    ):
        refused = await site.call("GET", "/v1/health", headers={"Authorization": wrong})
        refused.refused(401, 1005)
    (await site.call("GET", "/v1/health", headers={})).refused(401, 1005)


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


# ---------------------------------------------------------------- messages


async def sent(site: Integration, body: object, path: str = "/v1/messages") -> str:
    """The id of a message that was taken with exactly 201, read as courier reads it."""
    reply = await site.call("POST", path, body)
    assert reply.status == 201, reply.body
    assert "errors" not in reply.json
    message_id: str = reply.json["messages"][0]["id"]
    assert message_id
    return message_id


async def test_c17_a_text(site: Integration) -> None:
    message_id = await sent(site, TEXT)
    assert (await site.receiver.status(message_id, "read"))["id"] == message_id


async def test_c18_signs_and_the_longest_text(site: Integration) -> None:
    bodies = ["☺", "x" * 4096, "☺" * 4096]
    ids = [await sent(site, {**TEXT, "text": {"body": body}}) for body in bodies]
    assert len(set(ids)) == len(ids)
    reply = await site.send({**TEXT, "text": {"body": "x" * 4097}})
    reply.refused(400, 1001)


async def test_c19_a_preview(site: Integration) -> None:
    text = {"body": "see https://example.com"}
    await sent(site, {**TEXT, "preview_url": True, "text": text})


async def test_c20_no_type_is_a_text(site: Integration) -> None:
    message_id = await sent(site, {"to": TO, "text": {"body": "no type"}})
    await site.receiver.status(message_id, "delivered")


async def test_c22_a_template_without_components(site: Integration) -> None:
    template = {
        "namespace": "wa_template_namespace",
        "name": "revive_issue",
        "language": {"policy": "deterministic", "code": "en"},
    }
    await sent(site, {"to": TO, "type": "template", "template": template})


async def test_c23_reply_buttons(site: Integration) -> None:
    interactive = {"type": "button", "body": {"text": "Interactive"}, "action": BUTTONS}
    await sent(site, {"to": TO, "type": "interactive", "interactive": interactive})


async def test_c24_a_list(site: Integration) -> None:
    rows: list[dict[str, Any]] = [{"id": str(n), "title": f"ROW{n}"} for n in range(4)]
    rows[1]["description"] = "the second"
    interactive = {
        "type": "list",
        "body": {"text": "Interactive List"},
        "action": {"button": "Menu", "sections": [{"rows": rows}]},
    }
    await sent(site, {"to": TO, "type": "interactive", "interactive": interactive})


# ---------------------------------------------------------------- contacts


async def test_c35_a_thousand_contacts(site: Integration) -> None:
    numbers = [f"+25078{n:07}" for n in range(1000)]
    began = time.monotonic()
    body = {"blocking": "wait", "contacts": numbers, "force_check": True}
    reply = await site.call("POST", "/v1/contacts", body)
    assert reply.status == 200
    assert [c["input"] for c in reply.json["contacts"]] == numbers
    assert time.monotonic() - began < 20


async def test_c36_contacts_without_waiting(site: Integration) -> None:
    body = {"contacts": ["+1 631 555 1001"]}
    async with asyncio.timeout(PATIENCE):
        while True:
            reply = await site.call("POST", "/v1/contacts/", body)
            assert reply.status == 200
            (contact,) = reply.json["contacts"]
            assert contact["input"] == "+1 631 555 1001"
            assert contact["status"] in ("processing", "valid")
            if contact["status"] == "valid":
                break
            await asyncio.sleep(0.1)
    assert contact["wa_id"] == "16315551001"


# ---------------------------------------------------------------- shards


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
    await sent(site, TEXT)


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


# ---------------------------------------------------------------- the rest


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/groups"),
        ("POST", "/v1/groups"),
        ("GET", "/v1/groups/1"),
        ("PUT", "/v1/groups/1"),
        ("GET", "/v1/groups/1/icon"),
        ("DELETE", "/v1/groups/1/invite"),
        ("POST", "/v1/groups/1/leave"),
        ("PATCH", "/v1/groups/1/admins"),
        ("DELETE", "/v1/groups/1/participants"),
        ("GET", "/v1/nothing/of/this"),
    ],
)
async def test_c48_paths_that_are_gone(site: Integration, method: str, path: str) -> None:
    body = {"subject": "x"} if method in ("POST", "PUT") else None
    (await site.call(method, path, body)).refused(404, 1006)


USERS, SECONDS = 300, 3.0


async def test_c49_three_hundred_users_at_once(site: Integration) -> None:
    """The load test of a mock: 10 s there; nothing here depends on its length."""
    end = time.monotonic() + SECONDS
    ids: list[str] = []

    async def user(number: int) -> None:
        body = {**TEXT, "to": f"49151{number:07d}"}
        while time.monotonic() < end:
            reply = await site.send(body)
            assert reply.status in (201, 503), reply.body
            if reply.status == 201:
                ids.append(reply.json["messages"][0]["id"])

    await asyncio.gather(*map(user, range(USERS)))
    assert len(set(ids)) == len(ids) >= USERS
    wanted = set(ids)
    await site.receiver.until(lambda: wanted <= site.receiver.ended, 60)


async def test_c50_the_header_of_another_product(site: Integration) -> None:
    reply = await site.send(headers={"D360-API-KEY": "whatever"})
    reply.refused(401, 1005)


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

"""The cases of real clients, by id: log-in, the API key, paths and headers of other products."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import Api
from tests.harness.integration import API_KEY, Integration

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]


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


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/groups"),
        ("POST", "/v1/groups"),
        ("DELETE", "/v1/groups/1/participants"),
        ("GET", "/v1/nothing/of/this"),
    ],
)
async def test_c48_paths_that_are_gone(site: Integration, method: str, path: str) -> None:
    body = {"subject": "x"} if method in ("POST", "PUT") else None
    (await site.call(method, path, body)).refused(404, 1006)


async def test_c50_the_header_of_another_product(site: Integration) -> None:
    reply = await site.send(headers={"D360-API-KEY": "whatever"})
    reply.refused(401, 1005)

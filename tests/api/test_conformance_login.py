"""The cases of real clients, by id: log-ins, and callers that are refused, with each upstream."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.harness.answer import Answer
from tests.harness.integration import FIRST, JPEG, Integration

pytestmark = pytest.mark.asyncio(loop_scope="session")


def token_in(reply: Answer) -> str:
    assert reply.status == 200, reply.body
    assert "errors" not in reply.json
    token: str = reply.json["users"][0]["token"]
    assert token
    return token


async def login(site: Integration, body: object = None, **headers: str) -> Answer:
    return await site.login(site.cluster.user, site.cluster.password, body, **headers)


async def test_c01_no_body(site: Integration) -> None:
    token_in(await login(site, **{"Content-Length": "0"}))


async def test_c02_the_same_password_as_new(site: Integration) -> None:
    reply = await login(site, {"new_password": site.cluster.password})
    token_in(reply)
    shown = reply.json["users"][0]["expires_after"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", shown)
    datetime.strptime(shown.split("+")[0], "%Y-%m-%d %H:%M:%S")  # as B7 reads it
    left = datetime.fromisoformat(shown) - datetime.now(UTC)
    assert abs(left - timedelta(days=7)) < timedelta(minutes=2)


async def test_c03_a_fresh_install(strict: Integration) -> None:
    without, new, with_it = strict.first
    without.refused(401, 1024)
    token_in(new)
    token_in(with_it)
    (await strict.login(strict.cluster.user, FIRST)).refused(401, 1005)


async def test_c04_a_wrong_password(site: Integration) -> None:
    (await site.login(site.cluster.user, "wrong")).refused(401, 1005)


async def test_c05_a_body_with_its_type_and_length(site: Integration) -> None:
    reply = await login(site, {})
    token_in(reply)
    assert set(reply.json["users"][0]) == {"token", "expires_after"}


async def test_c31_an_upload_with_a_dead_token(site: Integration) -> None:
    token = token_in(await login(site))
    dead = {"Authorization": f"Bearer {token}"}
    assert (await site.call("POST", "/v1/users/logout", headers=dead)).status == 200
    sent = dead | {"Content-Type": "image/jpeg"}
    reply = await site.call("POST", "/v1/media", data=JPEG, headers=sent)
    assert reply.refused(401, 1005)["title"] == "Access denied"


async def test_c50_the_header_of_another_product(site: Integration) -> None:
    (await site.send(headers={"D360-API-KEY": site.token})).refused(401, 1005)

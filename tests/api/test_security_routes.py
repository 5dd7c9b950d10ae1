"""Security over all routes: who may call what (S6), no inner field in or out (S7), methods (S25).

Who gets which status is the table of ``test_app.MATRIX``.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.harness.api import ADMIN_HASH, API_KEY, USER_HASH, Answer, Api, set_pin
from warouter._hash import slot_of
from warouter.access.token import hash_of
from warouter.api.app import ROUTES
from warouter.api.route import Access

TO = "250788123123"
INNER: dict[str, Any] = {
    "id": "x",
    "status": "read",
    "role": "ROLE_ADMIN",
    "ROLES": "ROLE_ADMIN",
    "slot": 99,
    "epoch": 1,
    "shard": 7,
    "seq": 1,
    "incarnation": "0" * 32,
    "must_change": True,
    "password_hash": USER_HASH,
    "pin_hash": USER_HASH,
    "authority_key": "AAAA",
    "registered_at": "2000-01-01",
}
SECRET_KEYS = ("password_hash", "pin_hash", "authority_key", "token_hash", "link_key", "key_pem")
PIN_HASH = "$argon2id$canary-of-the-pin"


def filled(path: str) -> str:
    return re.sub(r"\{[^/]+?\}", "worker", path)


# ---------------------------------------------------------------- S6


async def test_s6_c31_a_refused_caller_is_refused_before_the_body_is_read(api: Api) -> None:
    """Neither a wrong body nor a name that is none tells a stranger anything."""
    for route in ROUTES:
        if route.access in (Access.OPEN, Access.LOGIN):
            continue
        answers = [
            await api.call(route.method, filled(route.path), data=data, headers=headers)
            for data in (None, b"{", b"x" * 70_000)
            for headers in ({}, {"Authorization": "Bearer " + "x" * 43})
        ]
        assert {a.status for a in answers} == {401}, route.path
        assert route.method == "HEAD" or len({a.code for a in answers}) == 1


# ---------------------------------------------------------------- S7


async def test_s7_inner_fields_of_a_body_have_no_effect(api: Api, pool: asyncpg.Pool) -> None:
    user = {"username": "climber", "password": "Cl1mb!passw"}
    created = await api.call("POST", "/v1/users", {**INNER, **user}, token=api.admin)
    assert created.status == 201
    shown = await api.call("GET", "/v1/users/climber", token=api.admin)
    assert shown.json["users"] == [{"username": "climber", "ROLES": "ROLE_USER"}]
    row = await pool.fetchrow("select * from user_account where username = 'climber'")
    assert row["role"] == "ROLE_USER"
    assert row["must_change"] is False
    assert row["password_hash"] != USER_HASH
    wish = {**INNER, "password": "Cl1mb!again"}
    assert (await api.call("PUT", "/v1/users/climber", wish, token=api.admin)).status == 200
    assert (await pool.fetchval("select role from user_account where username = 'climber'")) == (
        "ROLE_USER"
    )
    login = await api.login("climber", "Cl1mb!again", INNER)
    token = login.json["users"][0]["token"]
    assert (await api.call("GET", "/v1/users/admin", token=token)).status == 403


async def test_s7_inner_fields_of_messages_and_settings(api: Api) -> None:
    body = {**INNER, "to": TO, "text": {"body": "x"}}
    sent = await api.send(body)
    assert sent.status == 201
    assert sent.json["messages"][0]["id"] != "x"
    first = api.recorder.submitted[0]
    assert (first.slot, first.recipient) == (slot_of(TO), TO)
    before = await api.call("GET", "/v1/settings/application", token=api.admin)
    patched = await api.call("PATCH", "/v1/settings/application", INNER, token=api.admin)
    assert patched.status == 200
    after = await api.call("GET", "/v1/settings/application", token=api.admin)
    assert after.json == before.json
    contacts = await api.call("POST", "/v1/contacts", {**INNER, "contacts": [TO]}, token=api.user)
    assert contacts.json["contacts"][0]["status"] == "valid"


async def test_s7_no_answer_holds_a_secret(api: Api, pool: asyncpg.Pool) -> None:
    key = b"canary-of-the-authority-key-32-b"
    await api.context.accounts.save_account(1, "49", "301234567", "canary-of-the-cert", key)
    await set_pin(api.context.accounts, PIN_HASH)
    canaries = [ADMIN_HASH, USER_HASH, PIN_HASH, API_KEY, key.decode(), api.admin, api.user]
    for token in (api.admin, api.user):
        digest = hash_of(token)
        canaries += [digest.hex(), repr(digest)[2:-1]]
    answers: list[tuple[str, Answer]] = []
    for route in sorted(ROUTES, key=lambda r: r.path.endswith("logout")):
        for data in (None, b"{}", b"{"):
            for token in (api.admin, api.user):
                path = filled(route.path)
                answer = await api.call(route.method, path, data=data, token=token)
                answers.append((f"{route.method} {path}", answer))
    assert {200, 400, 403, 404} <= {a.status for _, a in answers}
    for what, answer in answers:
        text = answer.body.decode("utf-8", "replace") + repr(dict(answer.headers))
        found = [canary for canary in canaries if canary in text]
        assert found == [], what
        assert "$argon2" not in text
        if answer.headers.get("Content-Type", "").startswith("application/json") and answer.body:
            assert not _keys(msgspec.json.decode(answer.body)) & set(SECRET_KEYS), what


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    if isinstance(value, list):
        return set().union(*map(_keys, value))
    return set()


# ---------------------------------------------------------------- S25


METHODS = (
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "TRACE",
    "OPTIONS",
    "PROPFIND",
    "LINK",
    "SEARCH",
)


@pytest.mark.parametrize("method", METHODS)
async def test_s25_methods_that_a_route_does_not_have(api: Api, method: str) -> None:
    for path in {r.path for r in ROUTES}:
        allowed = {r.method for r in ROUTES if re.fullmatch(_pattern(r.path), filled(path))}
        if method not in allowed:
            answer = await api.call(method, filled(path), token=api.admin)
            assert answer.status == 405, (method, path)
            assert answer.headers["Allow"] == ", ".join(sorted(allowed))
            assert answer.error["details"]


def _pattern(path: str) -> str:
    return re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(path))


async def test_s25_no_origin_is_let_in(api: Api) -> None:
    """There is no CORS: the API is for servers, and a page of elsewhere may not read it."""
    origin = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method, path in (("OPTIONS", "/v1/messages"), ("GET", "/"), ("GET", "/v1/openapi.json")):
        answer = await api.call(method, path, headers=origin)
        assert not [h for h in answer.headers if h.lower().startswith("access-control")]


async def test_s25_many_at_once_get_what_one_gets(api: Api) -> None:
    """The refusal of one caller does not reach another on the same loop."""
    calls = [
        api.call("GET", "/v1/account/shards", token=token)
        for token in (api.admin, api.user, "x" * 43) * 30
    ]
    statuses = [a.status for a in await asyncio.gather(*calls)]
    assert statuses == [200, 403, 401] * 30

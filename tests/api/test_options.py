"""Additions to the product's API: options in headers, keys of requests, and where a message is."""

from __future__ import annotations

from hashlib import sha256

import asyncpg
import msgspec
import pytest

from tests.harness.api import Api, Webapp
from tests.harness.described import DOCUMENT
from warouter.config import Settings
from warouter.kinds import (
    FAIL,
    HOLD,
    MEDIA,
    MESSAGE,
    NO_POLICY,
    READ_MARK,
    RESEND,
    base_of,
    kind_with,
)
from warouter.message_id import mark_of, mark_of_id, mint, text_of
from warouter.node.webapp import api_config

TEXT = {"to": "250788123123", "type": "text", "text": {"body": "Simple Message"}}
IMAGE = {"to": "250788123123", "type": "image", "image": {"link": "https://example.com/a.png"}}
IN_DOUBT, PRIORITY = "Warouter-In-Doubt", "Warouter-Priority"
ASKED = {
    "nothing": ({}, NO_POLICY, False),
    "resend": ({IN_DOUBT: "resend"}, RESEND, False),
    "fail": ({"warouter-in-doubt": " fail "}, FAIL, False),
    "hold, first": ({IN_DOUBT: "hold", PRIORITY: "high"}, HOLD, True),
    "first": ({PRIORITY: "high"}, NO_POLICY, True),
    "in turn": ({IN_DOUBT: "fail", PRIORITY: "normal"}, FAIL, False),
}


@pytest.mark.parametrize("case", ASKED)
async def test_options_in_headers_travel_with_the_message(webapp: Webapp, case: str) -> None:
    headers, policy, priority = ASKED[case]
    api = await webapp(options=True)
    for body, base in ((TEXT, MESSAGE), (IMAGE, MEDIA)):
        assert (await api.send(body, headers=headers)).status == 201
        assert api.recorder.submitted[-1].kind == kind_with(base, policy, priority)


async def test_media_is_the_users_all_the_same(webapp: Webapp) -> None:
    """Two bytes of the id tell an owner whose links it shares its places among."""
    api = await webapp(options=True)
    assert (await api.send(IMAGE, headers={PRIORITY: "high"})).status == 201
    sent = api.recorder.submitted[0]
    assert (base_of(sent.kind), sent.kind == MEDIA) == (MEDIA, False)
    assert mark_of_id(sent.id) == mark_of("worker")


async def test_with_the_simulator_they_are_checked_and_that_is_all(api: Api) -> None:
    """It drops repeats by itself, so no message is ever in doubt."""
    assert (await api.send(TEXT, headers={IN_DOUBT: "hold", PRIORITY: "high"})).status == 201
    assert api.recorder.submitted[0].kind == MESSAGE
    (await api.send(TEXT, headers={IN_DOUBT: "never"})).refused(400, 1009, IN_DOUBT)


@pytest.mark.parametrize("header", [IN_DOUBT, PRIORITY])
@pytest.mark.parametrize("value", ["", "Fail", "HIGH", "fail, hold", "high;q=1", "\xe9"])
async def test_any_other_value_is_refused(webapp: Webapp, header: str, value: str) -> None:
    api = await webapp(options=True)
    answer = await api.send(TEXT, headers={header: value})
    answer.refused(400, 1009, f"{header} must be given once, as ")
    assert api.recorder.submitted == []


async def test_a_read_mark_has_no_options(webapp: Webapp) -> None:
    api = await webapp(options=True)
    api.recorder.inbound["wamid.1"] = "4915112345"
    headers = {IN_DOUBT: "fail", PRIORITY: "high"}
    mark = {"status": "read"}
    path = "/v1/messages/wamid.1"
    assert (await api.call("PUT", path, mark, token=api.user, headers=headers)).status == 200
    assert [m.kind for m in api.recorder.submitted] == [READ_MARK]


def test_a_webapp_passes_them_on_if_its_upstream_is_the_cloud_api() -> None:
    for upstream, passed in (("simulator", False), ("cloud", True)):
        settings = Settings(db_hostname="db", db_username="u", db_password="p", upstream=upstream)
        assert api_config(settings).options is passed


def test_the_description_lists_them() -> None:
    parameters = DOCUMENT["paths"]["/v1/messages"]["post"]["parameters"]
    values = {p["name"]: p["schema"].get("enum") for p in parameters if p["in"] == "header"}
    assert values == {
        "Idempotency-Key": None,
        IN_DOUBT: ["resend", "fail", "hold"],
        PRIORITY: ["high", "normal"],
    }
    assert not any(p.get("required") for p in parameters)


# ``Idempotency-Key``, ``ttl`` and ``GET /v1/messages/{id}``


async def test_the_key_travels_with_the_hash_of_the_body(api: Api) -> None:
    body = msgspec.json.encode(TEXT)
    answer = await api.send(data=body, headers={"Idempotency-Key": "order 42/1"})
    assert answer.status == 201
    key = api.recorder.submitted[0].key
    assert key is not None
    assert key.request == sha256(body).digest()
    assert await keys_of(api, api.admin, "order 42/1") != key.name  # each user's own
    assert await keys_of(api, api.user, "order 42/2") != key.name
    assert await keys_of(api, api.user, "order 42/1") == key.name


async def keys_of(api: Api, token: str, key: str) -> bytes:
    answer = await api.call(
        "POST", "/v1/messages", TEXT, token=token, headers={"Idempotency-Key": key}
    )
    assert answer.status == 201
    found = api.recorder.submitted[-1].key
    assert found is not None
    return found.name


@pytest.mark.parametrize("key", ["", "k" * 256, "\xe9", "a\tb"])
async def test_a_bad_key_is_refused(api: Api, key: str) -> None:
    (await api.send(TEXT, headers={"Idempotency-Key": key})).refused(400, 1009, "Idempotency-Key")
    assert api.recorder.submitted == []


async def test_without_a_key_or_a_ttl_there_is_none(api: Api) -> None:
    assert (await api.send(TEXT)).status == 201
    sent = api.recorder.submitted[0]
    assert (sent.key, sent.ttl) == (None, None)


@pytest.mark.parametrize("ttl", [3600, "3600", "PT1H"])
async def test_a_ttl_travels_in_seconds(api: Api, ttl: object) -> None:
    assert (await api.send({**TEXT, "ttl": ttl})).status == 201
    assert api.recorder.submitted[0].ttl == 3600


async def test_where_a_message_is(api: Api, pool: asyncpg.Pool) -> None:
    raw = mint(3, 1_700_000_000_000, b"where it is!")
    path = f"/v1/messages/{text_of(raw)}"
    (await api.call("GET", path, token=api.user)).refused(404, 1006)
    await pool.execute(
        "insert into message (slot, seq, id, recipient, body) values (3, 1, $1, '49151', 'secret')",
        raw,
    )
    try:
        for spelling in (path, f"{path}/"):
            answer = await api.call("GET", spelling, token=api.user)
            assert answer.status == 200
            assert answer.json["trace"]["state"] == "waiting"
            assert b"secret" not in answer.body
            assert "errors" not in answer.json
    finally:
        await pool.execute("delete from message")
    assert (await api.call("GET", path)).status == 401
    for unknown in ("nothing", "%00", "x" * 300, "%F0%9F%98%80"):
        (await api.call("GET", f"/v1/messages/{unknown}", token=api.admin)).refused(404, 1006)

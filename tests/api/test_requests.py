"""``Idempotency-Key``, ``ttl`` and ``GET /v1/messages/{id}``: additions to the product's API."""

from __future__ import annotations

from hashlib import sha256

import asyncpg
import msgspec
import pytest

from tests.harness.api import Api
from warouter.message_id import mint, text_of

TEXT = {"to": "250788123123", "type": "text", "text": {"body": "Simple Message"}}


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

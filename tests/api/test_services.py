"""PUT /v1/services/message/gc (C12); what the owners do is in tests/integration."""

from __future__ import annotations

import asyncpg

from tests.api.conftest import Api


async def test_c12_garbage_collection_is_asked_for(api: Api, pool: asyncpg.Pool) -> None:
    sql = "select what, version from change where what in ('message_gc', 'settings')"
    before = dict(await pool.fetch(sql))
    for calls in (1, 2):
        answer = await api.call("PUT", "/v1/services/message/gc", token=api.admin)
        assert (answer.status, set(answer.json)) == (200, {"meta"})
        assert dict(await pool.fetch(sql)) == {k: v + calls for k, v in before.items()}
    assert (await api.call("PUT", "/v1/services/message/gc")).status == 401
    assert dict(await pool.fetch(sql)) == {k: v + 2 for k, v in before.items()}


async def test_a_user_cannot_prune_the_journals(api: Api, pool: asyncpg.Pool) -> None:
    sql = "select what, version from change where what in ('message_gc', 'settings')"
    before = dict(await pool.fetch(sql))
    answer = await api.call("PUT", "/v1/services/message/gc", token=api.user)
    assert (answer.status, answer.code) == (403, 1005)
    assert dict(await pool.fetch(sql)) == before

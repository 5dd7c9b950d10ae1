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
    for token, status in ((None, 401), (api.user, 403)):
        answer = await api.call("PUT", "/v1/services/message/gc", token=token)
        assert (answer.status, answer.code) == (status, 1005)
    assert dict(await pool.fetch(sql)) == {k: v + 2 for k, v in before.items()}

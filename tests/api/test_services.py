"""PUT /v1/services/message/gc (C12); what the owners do is in tests/integration."""

from __future__ import annotations

import asyncpg

from tests.harness.api import Api


async def test_c12_garbage_collection_is_asked_for(api: Api, pool: asyncpg.Pool) -> None:
    sql = "select what, version from change where what in ('message_gc', 'settings')"
    before = dict(await pool.fetch(sql))
    for calls in (1, 2):
        (await api.call("PUT", "/v1/services/message/gc", token=api.admin)).done()
        assert dict(await pool.fetch(sql)) == {k: v + calls for k, v in before.items()}

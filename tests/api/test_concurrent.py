"""Changes of the same rows at the same time: each is done or refused, none dies of the other."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.harness.api import ADMIN_PASSWORD, Api
from tests.harness.wait import PATIENCE
from warouter.access.token import hash_of, new_token

PATH = "/v1/settings/application"
WAITING = """
select count(*) from pg_stat_activity
 where wait_event_type = 'Lock' and datname = current_database()"""


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PATCH", {"sent_status": True})])
async def test_settings_are_locked_in_one_order(
    api: Api, pool: asyncpg.Pool, method: str, body: object
) -> None:
    """The counter first, then the row: otherwise PATCH and DELETE at once were a deadlock."""
    assert (await api.call("PATCH", PATH, {"sent_status": True}, token=api.admin)).status == 200
    async with pool.acquire() as holder, pool.acquire() as looker:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("select from change where what = 'settings' for update")
        call = asyncio.create_task(api.call(method, PATH, body, token=api.admin))
        async with asyncio.timeout(PATIENCE):
            while not await looker.fetchval(WAITING):
                pass
        free = await looker.fetchval("select name from setting for update skip locked")
        await transaction.rollback()
    assert free == "application"
    assert (await call).status == 200


async def test_a_password_changed_while_its_tokens_end(api: Api) -> None:
    accounts = api.context.accounts
    for n in range(3):
        name = f"user{n}"
        await accounts.create_user(name, "hash")
        tokens = [new_token() for _ in range(8)]
        for token in tokens:
            assert await accounts.add_token(name, "hash", hash_of(token))
        path, wish = f"/v1/users/{name}", {"password": ADMIN_PASSWORD}
        calls = [
            *(api.call("POST", "/v1/users/logout", token=token) for token in tokens),
            api.call("PUT", path, wish, token=api.admin),
            api.call("DELETE", path, token=api.admin),
        ]
        statuses = {a.status for a in await asyncio.gather(*calls)}
        # 503 where PostgreSQL broke a circle of locks: nothing was done, and a retry helps.
        assert statuses <= {200, 401, 404, 503}

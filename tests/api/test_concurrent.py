"""Changes of the same rows at the same time: each is done or refused, none dies of the other."""

from __future__ import annotations

import asyncio

from tests.api.conftest import ADMIN_PASSWORD, Api
from warouter.api.tokens import hash_of, new_token

PATH = "/v1/settings/application"


async def test_settings_patched_and_reset_at_once(api: Api) -> None:
    for _ in range(15):
        calls = [
            api.call(method, PATH, body, token=api.admin)
            for method, body in (("PATCH", {"sent_status": True}), ("DELETE", None)) * 4
        ]
        assert [a.status for a in await asyncio.gather(*calls)] == [200] * len(calls)


async def test_a_password_changed_while_its_tokens_end(api: Api) -> None:
    accounts = api.context.accounts
    for n in range(10):
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

"""POST, DELETE /v1/settings/application/webhook-secrets: rotation without knowing the old one."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.harness.api import Answer, Api
from warouter.app_settings import APPLICATION
from warouter.store.views.setup.application import ROTATED

SETTINGS = "/v1/settings/application"
PATH = f"{SETTINGS}/webhook-secrets"
OLD, NEW, NEWER = (f"whsec_{letter * 32}" for letter in "ABC")


async def stored(api: Api) -> dict[str, Any]:
    return (await api.context.accounts.setting(APPLICATION)).get("webhooks", {})


async def add(api: Api, secret: object) -> Answer:
    return await api.call("POST", PATH, {"secret": secret}, token=api.admin)


async def patch(api: Api, *secrets: str, **more: Any) -> None:
    body = {"webhooks": {"secrets": list(secrets)}, **more}
    (await api.call("PATCH", SETTINGS, body, token=api.admin)).done()


async def test_a_rotation(api: Api) -> None:
    assert (await add(api, OLD)).json["secrets_count"] == 1
    assert (await add(api, NEW)).json["secrets_count"] == 2
    assert (await stored(api))["secrets"] == [OLD, NEW]
    for _ in range(2):
        answer = await api.call("DELETE", PATH, token=api.admin)
        assert (answer.status, answer.json["secrets_count"]) == (200, 1)
        assert (await stored(api))["secrets"] == [NEW]


async def test_a_rotation_names_the_field_in_the_audit_log(api: Api, pool: asyncpg.Pool) -> None:
    await add(api, OLD)
    await api.call("DELETE", PATH, token=api.admin)
    async with pool.acquire() as connection:
        rows = await connection.fetch(
            "select action, subject from audit where outcome = 'done' and action = any ($1)"
            " order by id",
            ROTATED,
        )
    assert [tuple(row) for row in rows] == [(action, "webhooks.secrets") for action in ROTATED]


async def test_the_newest_stays_when_a_third_comes(api: Api) -> None:
    await patch(api, OLD, NEW)
    assert (await add(api, NEWER)).json["secrets_count"] == 2
    assert (await stored(api))["secrets"] == [NEW, NEWER]


async def test_a_secret_that_is_added_again_becomes_the_newest(api: Api) -> None:
    await patch(api, OLD, NEW)
    assert (await add(api, OLD)).json["secrets_count"] == 2
    assert (await stored(api))["secrets"] == [NEW, OLD]


async def test_without_a_secret_there_is_none_to_keep(api: Api) -> None:
    answer = await api.call("DELETE", PATH, token=api.admin)
    assert (answer.status, answer.json["secrets_count"]) == (200, 0)
    assert "secrets_at" not in await stored(api)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_none", "whsec_AAAA", "B" * 32, 5, None])
async def test_a_malformed_secret_is_refused_and_not_echoed(api: Api, secret: object) -> None:
    await patch(api, OLD)
    answer = await add(api, secret)
    assert answer.status == 400
    assert "whsec_none" not in str(answer.json)
    assert "B" * 32 not in str(answer.json)
    assert (await stored(api))["secrets"] == [OLD]


async def test_since_when_they_sign_is_kept_and_not_shown(api: Api) -> None:
    await patch(api, OLD)
    since = (await stored(api))["secrets_at"]
    await patch(api, OLD, callback_persist=False)
    (await api.call("PATCH", SETTINGS, {"webhooks": {"secrets_at": "x"}}, token=api.admin)).done()
    assert (await stored(api))["secrets_at"] == since
    shown = (await api.call("GET", SETTINGS, token=api.admin)).json["settings"]["application"]
    assert shown["webhooks"]["secrets_count"] == 1
    assert not {"secrets", "secrets_at"} & shown["webhooks"].keys()

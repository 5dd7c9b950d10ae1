"""What of the webhook is set over the API: secrets that nobody reads back."""

from __future__ import annotations

import base64
from typing import Any

import asyncpg
import pytest

from tests.harness.api import Api

PATH = "/v1/settings/application"
OLD, NEW = ("whsec_" + base64.b64encode(bytes([n] * 24)).decode() for n in (1, 2))


async def patch(api: Api, **webhooks: Any) -> Any:
    return await api.call("PATCH", PATH, {"webhooks": webhooks}, token=api.admin)


async def stored(pool: asyncpg.Pool) -> Any:
    return await pool.fetchval(
        "select value -> 'webhooks' -> 'secrets' from setting where name = 'application'"
    )


async def test_secrets_are_stored_and_never_shown(api: Api, pool: asyncpg.Pool) -> None:
    answer = await patch(api, secrets=[OLD, NEW])
    assert answer.status == 200
    assert OLD in await stored(pool)
    shown = await api.call("GET", PATH, token=api.admin)
    assert shown.json["settings"]["application"]["webhooks"]["secrets_count"] == 2
    assert b"whsec_" not in answer.body + shown.body


async def test_settings_that_get_shows_can_be_sent_back(api: Api, pool: asyncpg.Pool) -> None:
    await patch(api, secrets=[NEW])
    shown = (await api.call("GET", PATH, token=api.admin)).json["settings"]["application"]
    assert (await api.call("PATCH", PATH, shown, token=api.admin)).status == 200
    assert NEW in await stored(pool)


async def test_an_empty_list_ends_signing(api: Api, pool: asyncpg.Pool) -> None:
    await patch(api, secrets=[NEW])
    await patch(api, secrets=[])
    shown = (await api.call("GET", PATH, token=api.admin)).json["settings"]["application"]
    assert "secrets_count" not in shown["webhooks"]
    assert "secrets" not in shown["webhooks"]


@pytest.mark.parametrize(
    "secrets",
    [
        ["whsec_c2hvcnQtc2VjcmV0"],
        ["no-prefix-but-long-enough-to-be-a-secret"],
        [OLD, NEW, OLD],
        "whsec_",
        [OLD, 5],
        {"0": OLD},
    ],
)
async def test_a_malformed_secret_is_refused(api: Api, pool: asyncpg.Pool, secrets: object) -> None:
    answer = await patch(api, secrets=secrets)
    answer.refused(400, 1009)
    assert b"c2hvcnQ" not in answer.body
    assert await pool.fetchval("select count(*) from setting") == 0

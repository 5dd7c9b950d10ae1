"""Secrets of the webhook: set, rotated without knowing the old one, and never read back."""

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
    return (await api.context.accounts.setting(1, APPLICATION)).get("webhooks", {})


async def add(api: Api, secret: object) -> Answer:
    return await api.call("POST", PATH, {"secret": secret}, token=api.admin)


async def patch(api: Api, secrets: object, **more: Any) -> Answer:
    body = {"webhooks": {"secrets": secrets}, **more}
    return await api.call("PATCH", SETTINGS, body, token=api.admin)


async def shown(api: Api) -> Answer:
    return await api.call("GET", SETTINGS, token=api.admin)


def webhooks_in(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = answer.json["settings"]["application"]["webhooks"]
    return found


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


@pytest.mark.parametrize("added", [NEWER, OLD], ids=["a third one", "the oldest again"])
async def test_the_newest_stays_when_another_comes(api: Api, added: str) -> None:
    (await patch(api, [OLD, NEW])).done()
    assert (await add(api, added)).json["secrets_count"] == 2
    assert (await stored(api))["secrets"] == [NEW, added]


async def test_without_a_secret_there_is_none_to_keep(api: Api) -> None:
    answer = await api.call("DELETE", PATH, token=api.admin)
    assert (answer.status, answer.json["secrets_count"]) == (200, 0)
    assert "secrets_at" not in await stored(api)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_none", "whsec_AAAA", "B" * 32, 5, None])
async def test_a_malformed_secret_is_refused_and_not_echoed(api: Api, secret: object) -> None:
    (await patch(api, [OLD])).done()
    answer = await add(api, secret)
    assert answer.status == 400
    assert "whsec_none" not in str(answer.json)
    assert "B" * 32 not in str(answer.json)
    assert (await stored(api))["secrets"] == [OLD]


async def test_since_when_they_sign_is_kept_and_not_shown(api: Api) -> None:
    (await patch(api, [OLD])).done()
    since = (await stored(api))["secrets_at"]
    (await patch(api, [OLD], callback_persist=False)).done()
    (await api.call("PATCH", SETTINGS, {"webhooks": {"secrets_at": "x"}}, token=api.admin)).done()
    assert (await stored(api))["secrets_at"] == since
    found = webhooks_in(await shown(api))
    assert found["secrets_count"] == 1
    assert not {"secrets", "secrets_at"} & found.keys()


async def test_secrets_are_stored_and_never_shown(api: Api) -> None:
    answer = await patch(api, [OLD, NEW])
    assert answer.status == 200
    assert OLD in (await stored(api))["secrets"]
    found = await shown(api)
    assert webhooks_in(found)["secrets_count"] == 2
    assert b"whsec_" not in answer.body + found.body


async def test_settings_that_get_shows_can_be_sent_back(api: Api) -> None:
    await patch(api, [NEW])
    found = (await shown(api)).json["settings"]["application"]
    assert (await api.call("PATCH", SETTINGS, found, token=api.admin)).status == 200
    assert NEW in (await stored(api))["secrets"]


async def test_an_empty_list_ends_signing(api: Api) -> None:
    await patch(api, [NEW])
    await patch(api, [])
    assert not {"secrets", "secrets_count"} & webhooks_in(await shown(api)).keys()


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
async def test_malformed_secrets_are_refused(api: Api, pool: asyncpg.Pool, secrets: object) -> None:
    answer = await patch(api, secrets)
    answer.refused(400, 1009)
    assert b"c2hvcnQ" not in answer.body
    assert await pool.fetchval("select count(*) from setting") == 0

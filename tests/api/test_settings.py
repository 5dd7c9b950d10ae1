"""/v1/settings/application (C09, C11; rules 1 and 7) and PUT /v1/services/message/gc (C12)."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.harness.api import Answer, Api, Webapp
from warouter.app_settings import effective
from warouter.app_settings import shown as as_shown

PATH = "/v1/settings/application"
DEFAULTS = msgspec.json.decode(msgspec.json.encode(as_shown(effective({}))))


async def shown(api: Api) -> Any:
    answer = await api.call("GET", PATH, token=api.admin)
    assert answer.status == 200
    return answer.json["settings"]["application"]


async def patch(api: Api, body: object) -> Answer:
    return await api.call("PATCH", PATH, body, token=api.admin)


async def test_defaults_of_a_fresh_install(api: Api) -> None:
    fields = await shown(api)
    assert fields == DEFAULTS
    assert fields["webhooks"] == {
        "url": "",
        "max_concurrent_requests": 6,
        "message": {"sent": False, "delivered": True, "read": True},
    }
    assert fields["heartbeat_interval"] == 5
    assert fields["unhealthy_interval"] == 30


async def test_the_own_number_once_registered(api: Api) -> None:
    await api.context.accounts.save_account(1, "49", "301234567", None, None)
    assert (await shown(api))["wa_id"] == "49301234567"


async def test_c09_the_webhook_and_nothing_else(api: Api) -> None:
    before = await shown(api)
    (await patch(api, {"webhooks": {"url": "https://example.com/hook"}})).done()
    after = await shown(api)
    assert after["webhooks"].pop("url") == "https://example.com/hook"
    before["webhooks"].pop("url")
    assert after == before
    assert (await patch(api, {"webhooks": {"url": ""}})).status == 200
    assert (await shown(api))["webhooks"]["url"] == ""


async def test_every_field_can_be_set(api: Api) -> None:
    wanted = {
        "callback_persist": False,
        "callback_backoff_delay_ms": "5000",
        "max_callback_backoff_delay_ms": "60000",
        "media": {"auto_download": ["image"]},
        "webhooks": {
            "url": "https://example.com",
            "max_concurrent_requests": 24,
            "message": {"sent": True, "delivered": False, "read": False},
        },
        "sent_status": True,
        "pass_through": True,
        "garbagecollector_enable": {"messages": False, "media": True},
        "db_garbagecollector_enable": False,
        "heartbeat_interval": "10",
        "unhealthy_interval": 60,
        "notify_user_change_number": False,
        "show_security_notifications": True,
        "skip_referral_media_download": True,
        "webhook_payload_conversation_pricingmodel_disabled": True,
        "axolotl_context_striping_disabled": True,
        "on_call_pager": "group",
        "tcp_listen_address": "0.0.0.0",
        "log_level": "debug",
        "verbose_logging": True,
    }
    assert (await patch(api, wanted)).status == 200
    wanted |= {
        "callback_backoff_delay_ms": 5000,
        "max_callback_backoff_delay_ms": 60000,
        "heartbeat_interval": 10,
        "pass_through": False,  # accepted, but not turned on: as the product from v2.35
    }
    assert await shown(api) == wanted
    (await api.call("DELETE", PATH, token=api.admin)).done()
    assert await shown(api) == DEFAULTS


async def test_two_names_of_one_switch(api: Api) -> None:
    for body, kept in (
        ({"db_garbagecollector_enable": "false"}, False),
        ({"garbagecollector_enable": {"messages": True}}, True),
        ({"garbagecollector_enable": {"messages": False}, "db_garbagecollector_enable": 1}, False),
        ({"garbagecollector_enable": {"media": True}}, False),
    ):
        assert (await patch(api, body)).status == 200
        after = await shown(api)
        assert after["db_garbagecollector_enable"] is kept
        assert after["garbagecollector_enable"]["messages"] is kept
    assert after["garbagecollector_enable"]["media"]


async def test_patches_at_once_lose_nothing(api: Api) -> None:
    fields = ["sent_status", "verbose_logging", "callback_persist", "show_security_notifications"]
    answers = await asyncio.gather(*(patch(api, {field: True}) for field in fields))
    assert [a.status for a in answers] == [200] * len(fields)
    after = await shown(api)
    assert all(after[field] for field in fields)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"heartbeat_interval": 0}, "heartbeat_interval must be a whole number >= 1"),
        ({"webhooks": {"url": 5}}, "webhooks.url must be a string, not a whole number"),
        ({"webhooks": {"url": "http://example.com"}}, "webhooks.url must start with https://"),
        ({"webhooks": {"url": "https://10.0.0.1/"}}, "webhooks.url points to an address"),
        ({"webhooks": {"url": "https://8.8.8.8:22/hook"}}, "webhooks.url "),
        ({"tcp_listen_address": "a\0b"}, "U+0000"),
        ([], "the body must be an object"),
        ("x", "the body must be an object"),
    ],
)
async def test_refusals_change_nothing(api: Api, body: object, words: str) -> None:
    assert (await patch(api, {"sent_status": True})).status == 200
    before = await shown(api)
    (await patch(api, body)).refused(400, 1009, words)
    if isinstance(body, dict):  # one wrong field refuses the right ones with it
        assert (await patch(api, {**body, "verbose_logging": True})).status == 400
    assert await shown(api) == before


async def test_http_and_loopback_where_they_are_allowed(webapp: Webapp) -> None:
    body = {"webhooks": {"url": "http://127.0.0.1:9999/hook"}}
    for allowed, status in ((False, 400), (True, 200)):
        assert (await patch(await webapp(allow_http_webhook=allowed), body)).status == status


async def test_a_change_is_announced(api: Api, pool: asyncpg.Pool) -> None:
    sql = "select version from change where what = 'settings'"
    before = await pool.fetchval(sql)
    await patch(api, {"sent_status": True})
    assert await pool.fetchval(sql) > before


async def test_c12_garbage_collection_is_asked_for(api: Api, pool: asyncpg.Pool) -> None:
    """As a change of settings is announced; what the owners do is in tests/integration."""
    sql = "select what, version from change where what in ('message_gc', 'settings')"
    before = dict(await pool.fetch(sql))
    for calls in (1, 2):
        (await api.call("PUT", "/v1/services/message/gc", token=api.admin)).done()
        assert dict(await pool.fetch(sql)) == {k: v + calls for k, v in before.items()}

"""Settings that were not stored by the API: no 5xx, and a good one heals them."""

from __future__ import annotations

import asyncpg
import pytest

from tests.harness.api import Api
from tests.harness.garbage import GARBAGE, write

APPLICATION = "/v1/settings/application"
READ = {
    "application": APPLICATION,
    "webhook_ca": "/v1/certificates/webhooks/ca",
    "external_certificate": "/v1/certificates/external/ca",
    "media_providers": f"{APPLICATION}/media/providers",
    "business_profile": "/v1/settings/business/profile",
    "compliance_info": "/v1/settings/business/compliance_info",
    "profile_about": "/v1/settings/profile/about",
}
PROVIDER = {"name": "a", "config": {"bearer": "t"}, "origins": ["https://a.test"]}
HEAL = {
    "application": ("PATCH", {"sent_status": True, "webhooks": {"url": ""}}),
    "media_providers": ("POST", [PROVIDER]),
    "business_profile": ("POST", {"address": "x"}),
    "profile_about": ("PATCH", {"text": "x"}),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_in_a_setting_is_no_fault_of_ours(
    api: Api, pool: asyncpg.Pool, name: str
) -> None:
    assert READ.keys() == GARBAGE.keys()
    for text in GARBAGE[name]:
        await write(pool, name, text)
        answer = await api.call("GET", READ[name], token=api.admin)
        assert answer.status in (200, 404), (text, answer.body)
        if name in HEAL:
            method, body = HEAL[name]
            answer = await api.call(method, READ[name], body, token=api.admin)
            assert answer.status == 200, (text, answer.body)
            answer = await api.call("GET", READ[name], token=api.admin)
            assert answer.status == 200, (text, answer.body)
        backup = {"password": "Backup1!password"}
        answer = await api.call("POST", "/v1/settings/backup", backup, token=api.admin)
        assert answer.status == 200, (text, answer.body)

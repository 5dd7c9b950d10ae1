"""The Cloud door over real sockets: whom it lets in, and what it says of the account and the app."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from tests.harness.cloud import SECRET, TOKEN, Door, door


@pytest.fixture
async def world() -> AsyncIterator[Door]:
    async with door() as found:
        yield found


async def test_the_app_and_what_a_token_may_do(world: Door) -> None:
    facts = world.simulator.facts
    question = world.url(f"debug_token?input_token={TOKEN}")
    _, answer = await world.call("GET", question)
    assert answer["data"] | {"issued_at": 0} == {
        "app_id": facts.app_id,
        "type": "SYSTEM_USER",
        "application": facts.name,
        "data_access_expires_at": 0,
        "expires_at": 0,
        "is_valid": True,
        "issued_at": 0,
        "scopes": ["whatsapp_business_management", "whatsapp_business_messaging"],
        "granular_scopes": [
            {"scope": "whatsapp_business_management"},
            {"scope": "whatsapp_business_messaging"},
        ],
        "user_id": "104169029247128",
    }
    by_app = {"Authorization": f"Bearer {facts.app_id}|{SECRET}"}
    for node in (facts.app_id, "app"):
        assert (await world.call("GET", world.url(node), headers=by_app))[1]["id"] == facts.app_id
    other = question.replace(TOKEN, "another")
    _, answer = await world.call("GET", other, headers=by_app)
    assert (answer["data"]["is_valid"], answer["data"]["scopes"]) == (False, [])
    # It is no token for anything else.
    number = world.url(facts.phone_number_id)
    status, answer = await world.call("GET", number, headers=by_app)
    assert (status, answer["error"]["code"]) == (403, 200)
    world.use(other_secret=True)
    assert (await world.call("GET", world.url("app"), headers=by_app))[0] == 401


async def test_what_a_token_lacks(world: Door) -> None:
    facts = world.simulator.facts
    question = world.url(f"debug_token?input_token={TOKEN}")
    world.use(token_s=60, granted=("7",), missing_scopes=("whatsapp_business_messaging",))
    data = (await world.call("GET", question))[1]["data"]
    assert 0 < data["expires_at"] - time.time() <= 60
    assert data["granular_scopes"] == [
        {"scope": "whatsapp_business_management", "target_ids": ["7"]}
    ]
    assert (await world.send())[0] == 403
    waba = world.url(facts.waba_id)
    assert (await world.call("GET", waba))[0] == 200
    world.use(missing_scopes=("whatsapp_business_management",), no_debug_token=True)
    assert (await world.call("GET", waba))[0] == 403
    assert (await world.send())[0] == 200
    assert (await world.call("GET", question))[0] == 400

"""The Cloud door over real sockets: whom it lets in, what it says of the account and the app."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.harness.cloud import SECRET, TOKEN, Door, door
from tests.harness.wait import soon


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


async def test_the_fields_that_the_app_is_subscribed_to(world: Door) -> None:
    facts = world.simulator.facts
    edge = world.url(f"{facts.app_id}/subscriptions")
    by_app = {"Authorization": f"Bearer {facts.app_id}|{SECRET}"}
    assert (await world.call("GET", edge))[1]["error"]["code"] == 15
    (found,) = (await world.call("GET", edge, headers=by_app))[1]["data"]
    assert (found["object"], found["active"]) == ("whatsapp_business_account", True)
    assert found["callback_url"] == world.business.url
    assert found["fields"][0] == {"name": "messages", "version": "v25.0"}
    world.use(missing_fields=("messages",))
    (found,) = (await world.call("GET", edge, headers=by_app))[1]["data"]
    assert "messages" not in {field["name"] for field in found["fields"]}
    await soon(lambda: not world.simulator.world.heard)


async def test_missing_permissions_of_a_token(world: Door) -> None:
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


async def test_the_callback_urls_are_shown_and_the_number_s_goes_first(world: Door) -> None:
    facts, calls = world.simulator.facts, world.business
    number, waba = world.url(facts.phone_number_id), world.url(facts.waba_id)

    async def shown() -> Any:
        _, found = await world.call("GET", f"{number}?fields=webhook_configuration")
        return found.get("webhook_configuration", {})

    async def override(node: str, url: str) -> int:
        callback = {"override_callback_uri": url, "verify_token": "verify-1"}
        body = callback if node == waba else {"webhook_configuration": callback}
        path = f"{waba}/subscribed_apps" if node == waba else node
        return (await world.call("POST", path, json=body))[0]

    assert await shown() == {"application": calls.url}
    of_number, of_account = f"{calls.url}?number", f"{calls.url}?account"
    assert await override(number, of_number) == await override(waba, of_account) == 200
    assert await shown() == {
        "phone_number": of_number,
        "whatsapp_business_account": of_account,
        "application": calls.url,
    }
    assert world.simulator.sender.urls == [of_number]
    assert await override(number, "x" * 201) == await override(number, "http://127.0.0.1:1/") == 400
    assert await override(number, "") == 200
    assert world.simulator.sender.urls == [of_account]
    # Subscribing as usual takes the account's away, and the app's is in force.
    assert (await world.call("POST", f"{waba}/subscribed_apps"))[0] == 200
    assert await shown() == {"application": calls.url}
    await soon(lambda: world.simulator.sender.urls == [calls.url])


async def test_an_account_without_the_number_and_nodes_that_cannot_send(world: Door) -> None:
    facts = world.simulator.facts
    world.use(foreign_number=True, health={"WABA": "LIMITED", "APP": "BLOCKED"})
    _, numbers = await world.call("GET", world.url(f"{facts.waba_id}/phone_numbers"))
    assert numbers == {"data": []}
    fields = world.url(f"{facts.phone_number_id}?fields=health_status")
    health = (await world.call("GET", fields))[1]["health_status"]
    assert health["can_send_message"] == "BLOCKED"
    kinds = {one["entity_type"]: one for one in health["entities"]}
    assert [kinds[kind]["can_send_message"] for kind in ("PHONE_NUMBER", "WABA", "APP")] == [
        "AVAILABLE",
        "LIMITED",
        "BLOCKED",
    ]
    assert "possible_solution" in kinds["WABA"]["errors"][0]
    assert "errors" not in kinds["PHONE_NUMBER"]


async def test_the_edge_for_marketing_opens_with_onboarding(world: Door) -> None:
    facts = world.simulator.facts
    edge = world.url(f"{facts.phone_number_id}/marketing_messages")
    account = world.url(facts.waba_id)
    body = {"messaging_product": "whatsapp", "to": "+15550001111", "text": {"body": "x"}}
    status, answer = await world.call("POST", edge, json=body)
    assert (status, answer["error"]["code"]) == (400, 131055)
    world.use(marketing="ONBOARDED")
    shown = (await world.call("GET", account))[1]["marketing_messages_onboarding_status"]
    assert shown == "ONBOARDED"
    status, answer = await world.call("POST", edge, json=body | {"messaging_account_id": "77"})
    assert (status, len(answer["messages"])) == (200, 1)

"""The Cloud door over real sockets: whom it lets in, what it says of the account and the app.

And of the number, of who may send, and of the messages that it had (`message_history`).
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.harness.cloud import OTHER, SECRET, TOKEN, Door, door
from tests.harness.wait import soon
from warouter.lab.simulator.cloud.graph import history
from warouter.lab.simulator.cloud.graph.health import BUSINESS


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


# The number's node, and who may send


FIELDS = "status,quality_rating,name_status,health_status"


async def node(world: Door) -> dict[str, Any]:
    number = world.simulator.facts.phone_number_id
    status, found = await world.call("GET", world.url(f"{number}?fields={FIELDS}"))
    assert status == 200
    return dict(found)


async def test_all_four_parts_may_send(world: Door) -> None:
    facts = world.simulator.facts
    found = await node(world)
    assert (found["quality_rating"], found["name_status"]) == ("GREEN", "APPROVED")
    assert found["health_status"] == {
        "can_send_message": "AVAILABLE",
        "entities": [
            {"entity_type": entity, "id": id, "can_send_message": "AVAILABLE"}
            for entity, id in (
                ("PHONE_NUMBER", facts.phone_number_id),
                ("WABA", facts.waba_id),
                ("BUSINESS", BUSINESS),
                ("APP", facts.app_id),
            )
        ],
    }


async def test_a_part_that_may_not_says_why_and_the_worst_one_counts(world: Door) -> None:
    world.use(health={"WABA": "LIMITED", "APP": "BLOCKED"}, quality="RED")
    found = await node(world)
    assert found["quality_rating"] == "RED"
    health = found["health_status"]
    assert health["can_send_message"] == "BLOCKED"
    _, waba, _, app = health["entities"]
    assert (waba["can_send_message"], app["can_send_message"]) == ("LIMITED", "BLOCKED")
    for entity in (waba, app):
        [error] = entity["errors"]
        assert set(error) == {"error_code", "error_description", "possible_solution"}
    assert (await world.send())[0] == 200  # it only says so


async def test_a_name_that_is_not_approved_limits_the_number(world: Door) -> None:
    world.use(name_status="PENDING_REVIEW")
    found = await node(world)
    number = found["health_status"]["entities"][0]
    assert (number["can_send_message"], len(number["additional_info"])) == ("LIMITED", 1)
    world.use(name_status="DECLINED", health={"PHONE_NUMBER": "BLOCKED"})
    number = (await node(world))["health_status"]["entities"][0]
    assert (number["can_send_message"], len(number["errors"])) == ("BLOCKED", 1)


async def test_a_number_that_is_not_registered_is_blocked(world: Door) -> None:
    world.simulator.number.registered = False
    found = await node(world)
    assert (found["status"], found["health_status"]["can_send_message"]) == (
        "DISCONNECTED",
        "BLOCKED",
    )


async def test_a_status_that_the_number_is_said_to_have(world: Door) -> None:
    """It says so only, as with its parts."""
    world.use(number_status="FLAGGED")
    assert (await node(world))["status"] == "FLAGGED"
    assert (await world.send())[0] == 200


# `message_history`, in the form that Meta's OpenAPI describes


async def listed(found: Door, **query: str) -> Any:
    node = found.simulator.facts.phone_number_id
    status, answer = await found.call("GET", found.url(f"{node}/message_history"), params=query)
    return answer if status == 200 else answer["error"]["code"]


async def sent(found: Door, count: int, **more: Any) -> list[str]:
    answers = [await found.send(**more) for _ in range(count)]
    return [answer["messages"][0]["id"] for _, answer in answers]


async def test_the_newest_stands_first_and_pages_follow_each_other() -> None:
    async with door() as found:
        ids = await sent(found, 30)
        page = await listed(found)
        assert [one["message_id"] for one in page["data"]] == ids[:4:-1]
        assert set(page["data"][0]) == {"id", "message_id"}
        after = page["paging"]["cursors"]["after"]
        rest = await listed(found, after=after, limit="100")
        assert [one["message_id"] for one in rest["data"]] == ids[4::-1]


async def test_one_message_is_found_with_its_events() -> None:
    async with door() as found:
        wamid, _ = await sent(found, 2)
        await found.statuses(6)
        (entry,) = (await listed(found, message_id=wamid, fields="id,events{timestamp}"))["data"]
        names = [event["delivery_status"] for event in entry["events"]["data"]]
        assert names == ["ACCEPTED", "SENT", "DELIVERED", "READ"]
        status, answer = await found.call(
            "GET", found.url(f"{entry['id']}/events"), params={"status_filter": "SENT"}
        )
        assert status == 200
        assert [one["node"]["delivery_status"] for one in answer["data"]] == ["SENT"]


async def test_a_failed_message_shows_an_error() -> None:
    async with door(unknown=[OTHER]) as found:
        (wamid,) = await sent(found, 1, to=OTHER)
        await found.statuses(1)
        (entry,) = (await listed(found, message_id=wamid, fields="events"))["data"]
        assert [e["delivery_status"] for e in entry["events"]["data"]] == ["ACCEPTED", "ERROR"]


@pytest.mark.parametrize("query", [{"limit": "101"}, {"limit": "0"}, {"after": "x"}])
async def test_an_out_of_range_page_is_refused(query: dict[str, str]) -> None:
    async with door() as found:
        assert await listed(found, **query) == 100


async def test_switches_say_what_is_listed_and_when() -> None:
    async with door(history="filtered") as found:
        (wamid,) = await sent(found, 1)
        assert await listed(found) == 100
        assert len((await listed(found, message_id=wamid))["data"]) == 1
        found.use(history="none")
        assert await listed(found, message_id=wamid) == 100
        found.use(history_ms=60_000)
        assert (await listed(found))["data"] == []
        found.use(history_ms=0)
        await soon(lambda: len(found.simulator.history.listed({})["data"]) == 1)


async def test_the_record_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 3)
    async with door() as found:
        ids = await sent(found, 5)
        await found.statuses(15)
        assert [one["message_id"] for one in (await listed(found))["data"]] == ids[:1:-1]


# Profile, compliance information, uploads and app


PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
OAUTH = {"Authorization": f"OAuth {TOKEN}", "file_offset": "0"}
WHATSAPP = {"messaging_product": "whatsapp"}


def edge(world: Door, name: str) -> str:
    return world.url(f"{world.simulator.facts.phone_number_id}/{name}")


async def begun(world: Door, **given: str) -> tuple[int, Any]:
    asked = {"file_length": str(len(PNG)), "file_type": "image/png", "file_name": "a.png"} | given
    _, app = await world.call("GET", world.url("app?fields=id"))
    return await world.call("POST", world.url(f"{app['id']}/uploads"), params=asked)


async def test_a_picture_goes_up_and_is_shown_to_everybody(world: Door) -> None:
    _, session = await begun(world)
    url = world.url(session["id"])
    assert (await world.call("GET", url, headers=OAUTH))[1]["file_offset"] == 0
    _, uploaded = await world.call("POST", url, headers=OAUTH, data=PNG)
    profile = edge(world, "whatsapp_business_profile")
    set_to = WHATSAPP | {"profile_picture_handle": uploaded["h"]}
    assert await world.call("POST", profile, json=set_to) == (200, {"success": True})
    _, found = await world.call("GET", f"{profile}?fields=profile_picture_url")
    picture = found["data"][0]["profile_picture_url"]
    async with world.session.get(picture, headers={"Authorization": ""}) as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
        assert await answer.read() == PNG
    assert (await world.call("GET", f"{picture}x"))[0] == 404


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, PNG, 190),
        ({"Authorization": "OAuth other"}, PNG, 190),
        ({"file_offset": "4"}, PNG, 100),
        ({}, PNG[:-1], 100),
        ({}, PNG + b"x", 100),
    ],
)
async def test_content_that_is_refused(
    world: Door, headers: dict[str, str], body: bytes, code: int
) -> None:
    _, session = await begun(world)
    url = world.url(session["id"])
    status, answer = await world.call("POST", url, headers=OAUTH | headers, data=body)
    assert (status, answer["error"]["code"]) == (401 if code == 190 else 400, code)
    assert (await world.call("POST", url, headers=OAUTH, data=PNG))[0] == 200


async def test_a_session_that_is_refused(world: Door) -> None:
    for given in ({"file_type": "image/gif"}, {"file_length": "x"}, {"file_name": ""}):
        status, answer = await begun(world, **given)
        assert (status, answer["error"]["code"]) == (400, 100)
    status, answer = await world.call("POST", world.url("upload:x?sig=y"), headers=OAUTH)
    assert (status, answer["error"]["code"]) == (400, 100)


async def test_the_app_has_its_id(world: Door) -> None:
    facts = world.simulator.facts
    assert await world.call("GET", world.url("app?fields=id")) == (200, {"id": facts.app_id})
    assert (await world.call("GET", world.url(facts.app_id)))[1]["id"] == facts.app_id
    assert (await world.call("GET", world.url("app?fields=nothing")))[0] == 400


async def test_the_profile_has_the_fields_that_are_asked_for(world: Door) -> None:
    url = edge(world, "whatsapp_business_profile")
    given = {"about": "a", "email": "a@example.com", "vertical": "AUTO", "websites": ["https://x"]}
    assert (await world.call("POST", url, json=WHATSAPP | given))[0] == 200
    assert (await world.call("GET", url))[1] == {"data": [WHATSAPP]}
    _, found = await world.call("GET", f"{url}?fields=about,address,vertical")
    assert found == {"data": [WHATSAPP | {"about": "a", "vertical": "AUTO"}]}
    assert (await world.call("GET", f"{url}?fields=nothing"))[0] == 400


@pytest.mark.parametrize(
    "given",
    [
        {"vertical": "Automotive"},
        {"about": ""},
        {"about": 5},
        {"email": "x"},
        {"websites": "https://x"},
        {"websites": ["x"]},
        {"websites": ["https://x"] * 3},
        {"websites": ["https://" + "x" * 256]},
        {"profile_picture_handle": "4:other"},
        {"profile_picture_url": "https://x"},
    ],
)
async def test_a_profile_that_is_refused(world: Door, given: dict[str, Any]) -> None:
    url = edge(world, "whatsapp_business_profile")
    status, answer = await world.call("POST", url, json=WHATSAPP | {"address": "x"} | given)
    assert (status, answer["error"]["code"]) == (400, 100)
    assert (await world.call("GET", f"{url}?fields=address"))[1] == {"data": [WHATSAPP]}


async def test_compliance_information_is_replaced(world: Door) -> None:
    url = edge(world, "business_compliance_info")
    info: dict[str, Any] = {
        "entity_name": "Lucky Shrub",
        "entity_type": "PARTNERSHIP",
        "is_registered": True,
        "grievance_officer_details": {"name": "N", "email": "n@example.com"},
        "customer_care_details": {"email": "a@example.com"},
    }
    assert (await world.call("GET", f"{url}?fields=entity_name"))[1] == {
        "data": [{"entity_name": None}]
    }
    assert await world.call("POST", url, json=WHATSAPP | info) == (200, {"success": True})
    _, found = await world.call("GET", url)
    shown = info | WHATSAPP | {"entity_type": "Partnership", "entity_type_custom": None}
    assert found == {"data": [shown]}
    for bad in (
        {"messaging_product": "x"},
        {"entity_type": "Partnership"},
        {"is_registered": None},
        {"is_registered": "yes"},
        {"entity_type": "PRIVATE_COMPANY"},  # it is registered anyway: nothing may be said of it
        {"customer_care_details": "x"},
        {"customer_care_details": {"email": "a@example.com", "name": "N"}},
        {"other": 1},
    ):
        status, answer = await world.call("POST", url, json=WHATSAPP | info | bad)
        assert (status, answer["error"]["code"]) == (400, 100), bad
    assert (await world.call("GET", url))[1] == {"data": [shown]}

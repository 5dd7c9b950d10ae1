"""The Cloud door's profile, compliance information, uploads and app, as any client meets them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.harness.cloud import TOKEN, Door, door

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
OAUTH = {"Authorization": f"OAuth {TOKEN}", "file_offset": "0"}
WHATSAPP = {"messaging_product": "whatsapp"}


@pytest.fixture
async def world() -> AsyncIterator[Door]:
    async with door() as found:
        yield found


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

"""The Cloud door over real sockets: Graph API, webhooks, record, control port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.harness.cloud import TO, Door, door, new_reference


@pytest.fixture
async def world() -> AsyncIterator[Door]:
    async with door() as found:
        yield found


async def test_a_message_is_taken_and_its_statuses_carry_the_reference(world: Door) -> None:
    ref = new_reference()
    status, answer = await world.send(ref=ref)
    assert status == 200
    assert answer["contacts"][0]["wa_id"] == TO
    wamid = answer["messages"][0]["id"]
    found = await world.statuses(3)
    assert [s["status"] for s in found] == ["sent", "delivered", "read"]
    assert {(s["id"], s["biz_opaque_callback_data"], s["recipient_id"]) for s in found} == {
        (wamid, ref, TO)
    }
    _, record = await world.ask("GET", "/record?ids=1&requests=1")
    assert (record["accepted"], record["unique"], record["duplicates"]) == (1, 1, [])
    assert record["ids"] == {TO: [ref[3:30]]}
    request = record["requests"][0]
    assert (request["reference"], request["attempt"], request["wamid"]) == (ref, 1, wamid)
    assert request["begun"] <= request["accepted"] <= request["answered"]


async def test_two_equal_requests_are_two_messages(world: Door) -> None:
    ref = new_reference()
    first, second = (await world.send(ref=ref))[1], (await world.send(ref=ref))[1]
    assert first["messages"] != second["messages"]
    _, record = await world.ask("GET", "/record")
    assert (record["accepted"], record["unique"], record["same_reference"]) == (2, 1, 1)
    assert record["duplicates"] == [{"id": ref[3:30], "attempts": [1, 1]}]
    assert (record["begun_again"], record["begun_again_open"]) == (1, 1)


async def test_a_bearer_is_asked_for(world: Door) -> None:
    headers = {"Authorization": "Bearer another"}
    status, answer = await world.call("GET", world.url("1"), headers=headers)
    assert (status, answer["error"]["code"]) == (401, 190)

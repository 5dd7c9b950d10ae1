"""The Cloud door over real sockets: what the number's node says of who may send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.harness.cloud import Door, door
from warouter.lab.simulator.cloud.graph.health import BUSINESS

FIELDS = "status,quality_rating,name_status,health_status"


@pytest.fixture
async def world() -> AsyncIterator[Door]:
    async with door() as found:
        yield found


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

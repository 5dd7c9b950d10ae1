"""The console's client of the simulator's control port, at both doors."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import unused_port

from tests.harness.cloud import Door, door, new_reference
from tests.harness.simulator import TO, World, running
from warouter.console.simulator import LAST, SimulatorClient
from warouter.console.visit import ConsoleRefusal
from warouter.lab.simulator.cloud import faults as cloud_faults
from warouter.lab.simulator.faults import described


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as found:
        yield found


@pytest.fixture
async def cloud() -> AsyncIterator[Door]:
    async with door() as found:
        yield found


@pytest.fixture
async def simulator(world: World) -> AsyncIterator[SimulatorClient]:
    client = SimulatorClient(world.addresses.control_url)
    yield client
    await client.close()


async def test_the_simulators_record_is_shown(world: World, simulator: SimulatorClient) -> None:
    seen = await simulator.look()
    assert (seen.connections, seen.last, seen.counters["unique"]) == ([], [], 0)
    assert "WhatsApp" in seen.what
    owner = await world.owner()
    for number in range(1, LAST + 3):
        await owner.send(f"m{number}", number)
    seen = await simulator.look()
    assert seen.connections == ["node"]
    assert seen.counters["unique"] == LAST + 2
    assert [one.id for one in seen.last] == [f"m{n}" for n in range(LAST + 2, 2, -1)]
    assert all(0 <= one.age_s < 60 for one in seen.last)


async def test_a_customer_writes(world: World, simulator: SimulatorClient) -> None:
    owner = await world.owner()
    id = await simulator.inject(TO, "Anna", "hello")
    assert (await owner.event()).key == id
    with pytest.raises(ConsoleRefusal, match="The simulator refused"):
        await simulator.inject("nobody", "", "hello")


async def test_switches_are_set_and_cleared(world: World, simulator: SimulatorClient) -> None:
    seen = await simulator.look()
    assert [(s.name, s.meaning) for s in seen.switches] == [(n, text) for n, _, text in described()]
    assert not any(switch.on for switch in seen.switches)
    await simulator.set("failed", 0.5)
    on = [switch for switch in (await simulator.look()).switches if switch.on]
    assert [(switch.name, switch.value, switch.default) for switch in on] == [("failed", 0.5, 0.0)]
    with pytest.raises(ConsoleRefusal, match="The simulator refused") as refused:
        await simulator.set("failed", 7)
    assert refused.value.status == 400
    await simulator.clear()
    assert world.simulator.faults.failed == 0


async def test_the_cloud_door_is_another_and_answers_alike(cloud: Door) -> None:
    client = SimulatorClient(cloud.addresses.control_url)
    try:
        ids = []
        for _ in range(2):
            ref = new_reference()
            await cloud.send(ref=ref)
            ids.insert(0, ref[3:30])
        seen = await client.look()
        assert "Cloud API" in seen.what
        assert [one.id for one in seen.last] == ids
        assert [s.name for s in seen.switches] == [n for n, _, _ in cloud_faults.described()]
        assert await client.inject(TO, "", "hello")
        await client.set("throttle", 1.0)
        assert (await cloud.send())[0] != 200
        await client.clear()
        assert (await cloud.send())[0] == 200
    finally:
        await client.close()


async def test_a_simulator_that_is_away_is_one_sentence() -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    client = SimulatorClient(url)
    with pytest.raises(ConsoleRefusal, match=f"No simulator answers at {url}") as refused:
        await client.look()
    assert refused.value.status == 502
    await client.close()


@pytest.mark.parametrize("last", ["-1", "1001", "x", "1e3"])
async def test_last_must_be_a_number_within_the_limit(world: World, cloud: Door, last: str) -> None:
    for side in (world, cloud):
        status, answer = await side.ask("GET", f"/record?last={last}")
        assert (status, answer["error"]) == (400, "last must be a number up to 1000")

"""Contacts with WAROUTER_REQUIRE_CONTACT_CHECK=1, against the simulator's services (C34-C36)."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import Answer, Api, Webapp
from tests.harness.wait import Awake
from warouter.lab.simulator.server import Simulator

TO, STRANGER = "250788123123", "250788999999"


class World:
    """A simulator and two webapps on one database."""

    def __init__(self, simulator: Simulator, api: Api, other: Api) -> None:
        self.simulator = simulator
        self.api = api
        self.other = other

    async def check(self, *numbers: str, api: Api | None = None, **more: Any) -> Answer:
        body = {"contacts": list(numbers), **more}
        api = api or self.api
        return await api.call("POST", "/v1/contacts", body, token=api.user)

    async def send(self, to: str, api: Api | None = None) -> Answer:
        return await (api or self.api).send({"to": to, "text": {"body": "hi"}})

    async def statuses(self, *numbers: str, **more: Any) -> list[str]:
        answer = await self.check(*numbers, **more)
        assert answer.status == 200
        return [contact["status"] for contact in answer.json["contacts"]]

    def faults(self, **switches: Any) -> None:
        self.simulator.use(self.simulator.faults.changed(switches))

    @property
    def asked(self) -> int:
        return self.simulator.exchange.record.counters.checked


@pytest_asyncio.fixture
async def checking(webapp: Webapp, pool: asyncpg.Pool) -> Webapp:
    """Serves webapps that have contacts checked."""
    await pool.execute("delete from contact")
    return partial(webapp, contact_check=True)


@pytest_asyncio.fixture
async def world(checking: Webapp, simulator: Simulator, services_url: str) -> World:
    two = [await checking(services_url=services_url) for _ in range(2)]
    return World(simulator, *two)


async def test_c34_without_whatsapp(world: World) -> None:
    world.faults(unknown=[STRANGER])
    answer = await world.check(f"+{STRANGER}", TO, "bob", f"00{STRANGER}", blocking="wait")
    assert answer.json["contacts"] == [
        {"input": f"+{STRANGER}", "status": "invalid"},
        {"input": TO, "status": "valid", "wa_id": TO},
        {"input": "bob", "status": "invalid"},
        {"input": f"00{STRANGER}", "status": "invalid"},
    ]
    assert ((await world.send(STRANGER)).status, (await world.send(TO)).status) == (404, 201)
    assert world.asked == 2


async def test_c35_a_thousand_numbers(world: World) -> None:
    numbers = [f"+25078{n:07}" for n in range(1000)]
    world.faults(unknown=[n[1:] for n in numbers[::10]])
    async with Awake() as awake:
        answer = await world.check(*numbers, numbers[1], blocking="wait", force_check=True)
    assert awake.seconds < 5.0
    shown = answer.json["contacts"]
    assert [c["input"] for c in shown] == [*numbers, numbers[1]]
    assert [c["status"] for c in shown[:-1]] == (["invalid"] + ["valid"] * 9) * 100
    assert all(c.get("wa_id", c["input"][1:]) == c["input"][1:] for c in shown)
    assert world.asked == 1000


async def test_more_than_one_call_of_the_upstream_takes(world: World) -> None:
    numbers = [f"25078{n:07}" for n in range(2500)]
    answers = await asyncio.gather(
        *(world.statuses(*numbers[n : n + 1500], blocking="wait") for n in (0, 500, 1000))
    )
    assert answers == [["valid"] * 1500] * 3
    assert world.asked == 2500  # what is asked for already is not asked twice


async def test_c36_processing_and_later_valid(world: World) -> None:
    world.faults(unknown=[STRANGER])
    answer = await world.check(TO, STRANGER, "bob")
    assert answer.json["contacts"] == [
        {"input": TO, "status": "processing"},
        {"input": STRANGER, "status": "processing"},
        {"input": "bob", "status": "invalid"},
    ]
    assert await world.statuses(TO, blocking="wait") == ["valid"]  # joins the one under way
    assert await world.statuses(TO, STRANGER) == ["valid", "invalid"]
    assert world.asked == 2


async def test_answers_are_good_for_seven_days(world: World, pool: asyncpg.Pool) -> None:
    assert await world.statuses(TO, blocking="wait") == ["valid"]
    world.faults(unknown=[TO])
    age = "update contact set checked_at = now() - interval '7 days' + make_interval(secs => $1)"
    await pool.execute(age, 5.0)
    assert await world.statuses(TO, blocking="wait") == ["valid"]
    assert world.asked == 1
    await pool.execute(age, -1.0)
    assert (await world.send(TO, world.other)).status == 201  # a contact stays one
    assert await world.statuses(TO, blocking="wait") == ["invalid"]
    assert world.asked == 2
    assert (await world.send(TO)).status == 404


async def test_force_check_asks_whatever_is_stored(world: World) -> None:
    assert await world.statuses(TO, blocking="wait") == ["valid"]
    assert (await world.send(TO)).status == 201
    world.faults(unknown=[TO])
    assert await world.statuses(TO, blocking="wait") == ["valid"]
    assert await world.statuses(TO, blocking="wait", force_check=True) == ["invalid"]
    assert (await world.send(TO)).status == 404
    world.faults(unknown=[])
    assert await world.statuses(TO, blocking="wait", force_check="true") == ["valid"]
    assert (await world.send(TO)).status == 201


async def test_sending_asks_the_database_once_a_minute(world: World, pool: asyncpg.Pool) -> None:
    assert await world.statuses(TO, blocking="wait") == ["valid"]
    assert (await world.send(TO, world.other)).status == 201
    await pool.execute("delete from contact")
    assert (await world.send(TO)).status == (await world.send(TO, world.other)).status == 201


async def test_an_upstream_that_refuses_is_failed_and_is_asked_again(world: World) -> None:
    world.faults(no_contacts=True)
    answer = await world.check(TO, "bob", blocking="wait")
    assert answer.status == 200
    assert answer.json["contacts"] == [
        {"input": TO, "status": "failed"},
        {"input": "bob", "status": "invalid"},
    ]
    assert (await world.send(TO)).status == 404
    world.faults(no_contacts=False)
    assert await world.statuses(TO, blocking="wait") == ["valid"]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        b"\x00\x01\x02",
        b"",
    ],
)
async def test_an_upstream_that_answers_nothing_or_nonsense_is_failed_in_time(
    world: World, checking: Webapp, answer: bytes | None
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    api = await checking(services_url=url, contact_seconds=1.0)
    numbers = [f"25078{n:07}" for n in range(1500)]
    async with Awake() as awake:
        assert await world.statuses(*numbers, api=api, blocking="wait") == ["failed"] * 1500
    assert awake.seconds < 8.0
    (await api.call("GET", f"/v1/contacts/{TO}/identity", token=api.user)).refused(503, 1011)
    server.close()


async def test_too_many_that_wait_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warouter.api.contacts.book.MOST_WAITING", 3)
    (await world.check("491511", "491512", "491513", "491514", blocking="wait")).refused(503, 1016)
    assert world.asked == 0
    assert await world.statuses("491511", "491512", "491513", blocking="wait") == ["valid"] * 3


async def test_without_the_database_only_known_contacts_are_written_to(
    world: World, pool: asyncpg.Pool
) -> None:
    assert await world.statuses(TO, blocking="wait") == ["valid"]
    pool.terminate()
    assert (await world.send(TO)).status == 201
    (await world.send(STRANGER)).refused(503, 1011)
    (await world.check(STRANGER, blocking="wait")).refused(503, 1011)
    # The upstream's answer that could not be kept counts as none.
    assert await world.statuses(STRANGER, blocking="wait", force_check=True) == ["failed"]

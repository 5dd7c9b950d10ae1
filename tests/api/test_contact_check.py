"""Contacts with WAROUTER_REQUIRE_CONTACT_CHECK=1, against the simulator's services (C34-C36)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.api.conftest import USER_HASH, Answer, Api, serve
from tests.harness.wait import PATIENCE, Awake
from warouter.api.access.tokens import hash_of, new_token
from warouter.simulator.server import Simulator
from warouter.store.account.accounts import USER

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


@asynccontextmanager
async def webapp(
    pool: asyncpg.Pool, url: str, token: str, seconds: float = PATIENCE
) -> AsyncIterator[Api]:
    """It waits for the upstream for so many seconds."""
    api = await serve(pool, services_url=url, contact_check=True, contact_seconds=seconds)
    api.user = token
    yield api
    await api.client.close()


@pytest_asyncio.fixture
async def world(pool: asyncpg.Pool) -> AsyncIterator[World]:
    await pool.execute("delete from contact")
    simulator = Simulator()
    addresses = await simulator.start()
    url = f"http://127.0.0.1:{addresses.services_port}"
    token = new_token()
    async with webapp(pool, url, token) as api, webapp(pool, url, token) as other:
        await api.context.accounts.create_user("worker", USER_HASH, USER)
        await api.context.accounts.add_token("worker", USER_HASH, hash_of(token))
        yield World(simulator, api, other)
    await simulator.stop()


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


async def test_an_upstream_that_says_nothing_is_failed_in_time(
    world: World, pool: asyncpg.Pool
) -> None:
    held: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _r, w: held.append(w), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    async with webapp(pool, url, world.api.user, 1.0) as api, Awake() as awake:
        numbers = [f"25078{n:07}" for n in range(1500)]
        assert await world.statuses(*numbers, api=api, blocking="wait") == ["failed"] * 1500
        assert awake.seconds < 8.0
        path = f"/v1/contacts/{TO}/identity"
        refused = await api.call("GET", path, token=api.user)
        assert (refused.status, refused.code) == (503, 1011)
        assert refused.headers["Retry-After"]
    for writer in held:
        writer.close()
    silent.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        b"\x00\x01\x02",
        b"",
    ],
)
async def test_an_upstream_that_answers_nonsense_is_failed(
    world: World, pool: asyncpg.Pool, answer: bytes
) -> None:
    async def serve_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve_nonsense, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with webapp(pool, url, world.api.user) as api:
        assert await world.statuses(TO, api=api, blocking="wait") == ["failed"]
        answered = await api.call("GET", f"/v1/contacts/{TO}/identity", token=api.user)
        assert (answered.status, answered.code) == (503, 1011)
    server.close()


async def test_too_many_that_wait_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warouter.api.contacts.book.MOST_WAITING", 3)
    answer = await world.check("491511", "491512", "491513", "491514", blocking="wait")
    assert (answer.status, answer.code) == (503, 1016)
    assert world.asked == 0
    assert await world.statuses("491511", "491512", "491513", blocking="wait") == ["valid"] * 3


async def test_without_the_database_only_known_contacts_are_written_to(
    world: World, pool: asyncpg.Pool
) -> None:
    assert await world.statuses(TO, blocking="wait") == ["valid"]
    pool.terminate()
    assert (await world.send(TO)).status == 201
    refused = await world.send(STRANGER)
    assert (refused.status, refused.code) == (503, 1011)
    refused = await world.check(STRANGER, blocking="wait")
    assert (refused.status, refused.code) == (503, 1011)
    # The upstream's answer that could not be kept counts as none.
    assert await world.statuses(STRANGER, blocking="wait", force_check=True) == ["failed"]

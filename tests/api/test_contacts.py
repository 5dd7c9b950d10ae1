"""POST /v1/contacts and the identities of contacts (C34 to C36, C45; rules 4 and 5)."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import Answer, Api, Webapp, key_of
from tests.harness.wait import Awake
from warouter.lab.simulator.inbound import build
from warouter.lab.simulator.server import Simulator


async def check(api: Api, body: Any, path: str = "/v1/contacts", **options: Any) -> Answer:
    return await api.call("POST", path, body, token=api.user, **options)


async def test_c35_ten_thousand_long_numbers_take_no_time(api: Api) -> None:
    numbers = [f"+49 (0)171 {n:07}" + " " * 20 for n in range(10_000)]
    began = time.process_time()
    answer = await check(api, {"blocking": "wait", "contacts": numbers})
    assert time.process_time() - began < 5.0
    assert [c["wa_id"] for c in answer.json["contacts"]] == [f"49171{n:07}" for n in range(10_000)]


@pytest.mark.parametrize("path", ["/v1/contacts", "/v1/contacts/"])
@pytest.mark.parametrize(
    "rest", [{}, {"blocking": None}, {"blocking": "no_wait"}, {"force_check": "false"}, {"x": 1}]
)
async def test_c36_without_blocking(api: Api, path: str, rest: dict[str, Any]) -> None:
    answer = await check(api, {"contacts": ["16315551000"], **rest}, path)
    assert answer.status == 200
    assert answer.json["contacts"][0]["status"] == "valid"


async def test_inputs_are_echoed_as_they_came(api: Api) -> None:
    spellings = [
        "+1 (631) 555-1004",
        "1-631-555-1004",
        "0016315551004",
        " 1631555 1004 ",
        "1.631.555.1004",
        "tel:+1-631-555-1004",
        "+1\u00a0631\u2013555\u20111004",
    ]
    others = ["", "bob", "12", "1234567890123456", "☎ 16315551004", "a\r\nb", "+", "0171 1234567"]
    answer = await check(api, {"contacts": [*spellings, *others, spellings[0]]})
    shown = answer.json["contacts"]
    assert [c["input"] for c in shown] == [*spellings, *others, spellings[0]]
    assert {c["wa_id"] for c in shown[: len(spellings)]} == {"16315551004"}
    for contact in shown[len(spellings) : -1]:
        assert contact == {"input": contact["input"], "status": "invalid"}
    assert shown[-1] == shown[0]


async def test_national_spellings_are_of_the_country_of_the_registered_number(api: Api) -> None:
    spelt = {"contacts": ["0171 1234567", "+49 (0)171 1234567", "+49 171 1234567"]}
    before = (await check(api, spelt)).json["contacts"]
    assert [c["status"] for c in before] == ["invalid", "valid", "valid"]
    await api.context.accounts.save_account(1, "49", "30123456", None, None)
    after = (await check(api, spelt)).json["contacts"]
    assert {c["wa_id"] for c in after} == {"491711234567"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 1008),
        ({"contacts": []}, 1009),
        ({"contacts": "16315551000"}, 1009),
        ({"contacts": [16315551000]}, 1009),
        ({"contacts": [None]}, 1009),
        ({"contacts": ["16315551000"], "blocking": "maybe"}, 1009),
        ({"contacts": ["1\0"]}, 1009),
        ([], 1009),
    ],
)
async def test_refusals(api: Api, body: object, code: int) -> None:
    (await check(api, body)).refused(400, code)


async def test_more_than_the_limit(api: Api) -> None:
    limit = api.context.config.contacts_limit
    (await check(api, None, data=b" " * (limit + 1))).refused(413, 1009)


# With WAROUTER_REQUIRE_CONTACT_CHECK=1, against the simulator's services (C34-C36)


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


async def test_each_number_has_its_contacts_checked_for_itself(
    world: World, pool: asyncpg.Pool
) -> None:
    other = await key_of(pool, 2)
    message = {"to": TO, "text": {"body": "hi"}}

    async def send(api: Api) -> int:
        return (await api.call("POST", "/v1/messages", message, token=other)).status

    assert await world.statuses(TO, blocking="wait") == ["valid"]
    assert ((await world.send(TO)).status, await send(world.api)) == (201, 404)
    body = {"contacts": [TO], "blocking": "wait"}
    answer = await world.api.call("POST", "/v1/contacts", body, token=other)
    assert answer.json["contacts"][0]["status"] == "valid"
    assert world.asked == 2
    assert [await send(api) for api in (world.api, world.other)] == [201, 201]
    world.faults(unknown=[TO])
    assert await world.statuses(TO, blocking="wait", force_check=True) == ["invalid"]
    assert ((await world.send(TO)).status, await send(world.other)) == (404, 201)
    rows = await pool.fetch("select wa_id, number, valid from contact order by number")
    assert [tuple(row) for row in rows] == [(TO, 1, False), (TO, 2, True)]


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


# GET and PUT of an identity, against the simulator's services (C45)


IDENTITY = f"/v1/contacts/{TO}/identity"


@pytest_asyncio.fixture
async def served(webapp: Webapp, services_url: str) -> Api:
    return await webapp(services_url=services_url)


def inject(simulator: Simulator, **fields: object) -> None:
    message = build({"from": TO, **fields}, "id", 1)
    simulator.exchange.inject(message, time.monotonic(), time.time())


async def test_c45_nothing_is_known(served: Api) -> None:
    for method, body in (("GET", None), ("PUT", {"hash": "x"})):
        (await served.call(method, IDENTITY, body, token=served.user)).refused(404, 1006)


async def test_c45_changed_and_acknowledged(served: Api, simulator: Simulator) -> None:
    inject(simulator, body="hello")
    first = (await served.call("GET", IDENTITY, token=served.user)).json
    assert set(first) == {"identity", "meta"}
    assert first["identity"]["acknowledged"] is True
    assert abs(first["identity"]["created_timestamp"] - time.time()) < 60
    inject(simulator, type="system", system={"type": "user_identity_changed", "body": "changed"})
    changed = (await served.call("GET", f"{IDENTITY}/", token=served.user)).json["identity"]
    assert changed["hash"] != first["identity"]["hash"]
    assert changed["acknowledged"] is False
    (
        await served.call("PUT", IDENTITY, {"hash": first["identity"]["hash"]}, token=served.user)
    ).refused(400, 1009)
    assert (await served.call("GET", IDENTITY, token=served.user)).json["identity"] == changed
    known = await served.call("PUT", IDENTITY, {"hash": changed["hash"]}, token=served.user)
    assert known.status == 200
    assert known.json["identity"] == {**changed, "acknowledged": True}
    assert (await served.call("GET", IDENTITY, token=served.user)).json["identity"]["acknowledged"]


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, 1008), ({"hash": ""}, 1009), ({"hash": 5}, 1009), ([], 1009), ({"hash": None}, 1009)],
)
async def test_bad_hashes(served: Api, simulator: Simulator, body: object, code: int) -> None:
    inject(simulator, body="hello")
    (await served.call("PUT", IDENTITY, body, token=served.user)).refused(400, code)


@pytest.mark.parametrize("name", ["bob", "1", "..%2F..%2Fcontacts", "25078%0a8123123", "%00"])
async def test_an_identity_of_no_number_is_404(served: Api, name: str) -> None:
    (await served.call("GET", f"/v1/contacts/{name}/identity", token=served.user)).refused(
        404, 1006
    )
    assert (await served.call("GET", IDENTITY)).status == 401

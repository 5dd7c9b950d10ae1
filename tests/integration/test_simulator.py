"""The simulator over real sockets, with the client that coreapps use."""

import asyncio
import base64
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.harness.wait import PATIENCE
from warouter._hash import slot_of
from warouter.cli.simulator import simulator as command
from warouter.errors import CommandError
from warouter.simulator.control import Addresses
from warouter.simulator.guard import is_named
from warouter.simulator.inbound import TYPES
from warouter.simulator.server import Simulator, serve
from warouter.upstream import authority
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.protocol import (
    Answer,
    Claim,
    Claimed,
    Event,
    EventAck,
    FromUpstream,
    Refused,
    Release,
    Revoked,
    Send,
)

TO = "491511234567"
SLOT = slot_of(TO)
STATUSES = ["sent", "delivered", "read"]


class Owner:
    """A coreapp's side: the client and what it heard, in order."""

    def __init__(self, addresses: Addresses, incarnation: str) -> None:
        self._heard: asyncio.Queue[FromUpstream] = asyncio.Queue()
        self._held_back: list[FromUpstream] = []
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.client = SimulatorUpstream(
            addresses.host, addresses.port, "node", incarnation, self, lambda: True
        )
        self._running = asyncio.create_task(self.client.run())

    def on_upstream(self, message: FromUpstream) -> None:
        self._heard.put_nowait(message)

    def on_upstream_up(self) -> None:
        self.up.set()

    def on_upstream_writable(self) -> None:
        pass

    def on_upstream_down(self) -> None:
        self.down.set()

    async def next(self, wanted: Callable[[Any], bool]) -> Any:
        """The first message not seen yet that is wanted; others stay for later calls."""
        for message in self._held_back:
            if wanted(message):
                self._held_back.remove(message)
                return message
        async with asyncio.timeout(PATIENCE):
            while not wanted(message := await self._heard.get()):
                self._held_back.append(message)
        return message

    async def claim(self, epoch: int, slot: int = SLOT) -> None:
        self.client.tell(Claim(slot, epoch))
        await self.next(lambda m: m == Claimed(slot, epoch, True))

    async def send(self, id: str, seq: int, *, epoch: int = 1, to: str = TO) -> Answer:
        self.client.tell(
            Send(slot_of(to), epoch, seq, id, to, "message", memoryview(b'{"to":"x"}'))
        )
        answer: Answer = await self.next(lambda m: isinstance(m, Answer) and m.id == id)
        return answer

    async def event(self) -> Event:
        event: Event = await self.next(lambda m: isinstance(m, Event))
        return event

    async def statuses(self, count: int) -> list[tuple[str, str]]:
        """Id and status of the next events, acknowledged under epoch 1."""
        found = []
        for _ in range(count):
            event = await self.event()
            self.client.tell(EventAck(event.slot, 1, event.number))
            payload = msgspec.json.decode(event.payload)
            found.append((payload["id"], payload["status"]))
        return found

    async def stop(self) -> None:
        await self.client.close()
        await self._running


class World:
    """A running simulator, its control port, and the owners of a test."""

    def __init__(self, simulator: Simulator, addresses: Addresses) -> None:
        self.simulator = simulator
        self.addresses = addresses
        self._http = aiohttp.ClientSession(addresses.control_url)
        self._owners: list[Owner] = []

    async def owner(self, incarnation: str = "a", epoch: int | None = 1) -> Owner:
        owner = Owner(self.addresses, incarnation)
        self._owners.append(owner)
        async with asyncio.timeout(PATIENCE):
            await owner.up.wait()
        if epoch is not None:
            await owner.claim(epoch)
        return owner

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        async with self._http.request(method, path, data=data) as answer:
            assert answer.content_type == "application/json"
            return answer.status, await answer.json()

    async def faults(self, **switches: Any) -> None:
        status, found = await self.ask("PUT", "/faults", switches)
        assert status == 200, found

    async def record(self, query: str = "") -> Any:
        status, found = await self.ask("GET", f"/record{query}")
        assert status == 200
        return found

    async def close(self) -> None:
        await self._http.close()
        for owner in self._owners:
            await owner.stop()


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[World]:
    simulator = Simulator(random=Random(11), **options)
    world = World(simulator, await simulator.start())
    try:
        yield world
    finally:
        await world.close()
        await simulator.stop()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


async def test_a_message_is_taken_and_its_statuses_come_in_order(world: World) -> None:
    owner = await world.owner()
    assert await owner.send("m1", 1) == Answer(SLOT, "m1")
    events = [await owner.event() for _ in STATUSES]
    payloads = [msgspec.json.decode(event.payload) for event in events]
    assert [payload["status"] for payload in payloads] == STATUSES
    for event, payload in zip(events, payloads, strict=True):
        assert (event.slot, event.kind, event.recipient) == (SLOT, "status", TO)
        assert event.key == f"m1:{payload['status']}:{payload['timestamp']}"
        assert payload["recipient_id"] == payload["message"]["recipient_id"] == TO
        assert abs(int(payload["timestamp"]) - time.time()) < PATIENCE
    numbers = [event.number for event in events]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


async def test_a_repeated_id_is_answered_and_delivered_once(world: World) -> None:
    owner = await world.owner()
    assert await owner.send("m1", 1) == await owner.send("m1", 1)
    await owner.send("m2", 2)
    ids = [id for id, _ in await owner.statuses(6)]
    assert sorted(ids) == ["m1"] * 3 + ["m2"] * 3
    record = await world.record("?ids=1&times=1")
    assert (record["received"], record["unique"], record["repeats"]) == (3, 2, 1)
    assert record["ids"] == {TO: ["m1", "m2"]}
    assert [arrival[1:] for arrival in record["arrivals"]] == [[SLOT, "m1", 1], [SLOT, "m2", 1]]
    first, second = (arrival[0] for arrival in record["arrivals"])
    assert first <= second <= time.monotonic()
    later = await world.record(f"?since={first}")
    assert len(later["arrivals"]) == (1 if first < second else 0)
    assert "ids" not in later


async def test_a_newer_claim_revokes_and_stale_sends_are_refused(world: World) -> None:
    old = await world.owner("a", 1)
    new = await world.owner("b", 2)
    assert await old.next(lambda m: isinstance(m, Revoked)) == Revoked(SLOT, 1, 2)
    old.client.tell(Send(SLOT, 1, 1, "m1", TO, "message", memoryview(b"{}")))
    assert await old.next(lambda m: isinstance(m, Refused)) == Refused(SLOT, 1, 2)
    old.client.tell(Claim(SLOT, 1))
    assert await old.next(lambda m: isinstance(m, Refused)) == Refused(SLOT, 1, 2)
    await new.send("m2", 2, epoch=2)
    record = await world.record("?ids=1")
    assert (record["stale"], record["revoked"], record["refused"]) == (1, 1, 1)
    assert record["ids"] == {TO: ["m2"]}


async def test_an_equal_epoch_of_another_incarnation_is_a_conflict(world: World) -> None:
    await world.owner("a", 4)
    other = await world.owner("b", None)
    other.client.tell(Claim(SLOT, 4))
    assert await other.next(lambda m: isinstance(m, Refused)) == Refused(SLOT, 4, 4)
    assert (await world.record())["conflicts"] == 1
    await other.claim(5)


async def test_the_same_incarnation_comes_back_under_the_same_epoch(world: World) -> None:
    owner = await world.owner()
    await owner.send("m1", 1)
    owner.client.abort()
    again = await world.owner("a", 1)
    assert [status for _, status in await again.statuses(3)] == STATUSES
    assert (await world.record())["revoked"] == 0


async def test_a_released_slot_is_free_for_a_newer_epoch(world: World) -> None:
    old = await world.owner("a", 1)
    old.client.tell(Release(SLOT, 1))
    old.client.tell(Send(SLOT, 1, 1, "m1", TO, "message", memoryview(b"{}")))
    assert await old.next(lambda m: isinstance(m, Refused)) == Refused(SLOT, 1, 1)
    await world.owner("b", 2)
    record = await world.record()
    assert (record["revoked"], record["stale"], record["unclaimed"]) == (0, 0, 1)


async def test_a_new_claimant_gets_the_unacknowledged_first_and_in_order(world: World) -> None:
    old = await world.owner("a", 1)
    for n in range(10):
        await old.send(f"m{n}", n)
    delivered = [await old.event() for _ in range(30)]
    for event in delivered[:7]:
        old.client.tell(EventAck(SLOT, 1, event.number))
    # Answered behind the acknowledgements on the same connection, so they have arrived.
    await old.send("m0", 0)
    new = await world.owner("b", 2)
    assert [await new.event() for _ in range(23)] == delivered[7:]
    await new.send("n", 10, epoch=2)
    assert (await new.event()).number > delivered[-1].number


async def test_events_survive_that_nobody_is_there(world: World) -> None:
    status, injected = await world.ask("POST", "/inbound", {"from": TO, "body": "hi"})
    assert status == 201
    owner = await world.owner()
    event = await owner.event()
    assert (event.kind, event.key) == ("inbound", injected["id"])


async def test_a_read_mark_is_recorded(world: World) -> None:
    owner = await world.owner()
    owner.client.tell(Send(SLOT, 1, 1, "ABGGx", TO, "read", memoryview(b"{}")))
    assert await owner.next(lambda m: isinstance(m, Answer)) == Answer(SLOT, "ABGGx")
    record = await world.record("?ids=1")
    assert (record["read_marks"], record["received"], record["marks"]) == (1, 0, ["ABGGx"])


async def test_many_messages_arrive_in_order_and_lose_no_status(world: World) -> None:
    owner = await world.owner()
    for n in range(2000):
        owner.client.tell(Send(SLOT, 1, n, f"m{n}", TO, "message", memoryview(b"{}")))
    found = await owner.statuses(6000)
    assert len(set(found)) == 6000
    for status in STATUSES:
        assert [id for id, s in found if s == status] == [f"m{n}" for n in range(2000)]
    record = await world.record("?ids=1")
    assert record["ids"][TO] == [f"m{n}" for n in range(2000)]
    assert record["inversions"] == 0


# Inbound

OBJECTS: dict[str, dict[str, Any]] = {
    "location": {"location": {"latitude": 1.5, "longitude": -2}},
    "contacts": {"contacts": [{"name": {"formatted_name": "Ann"}}]},
    "interactive": {
        "interactive": {"type": "list_reply", "list_reply": {"id": "1", "title": "One"}}
    },
    "order": {"order": {"catalog_id": "c", "product_items": []}},
}
MEDIA = ("image", "audio", "voice", "video", "document", "sticker")


async def test_an_out_of_band_error_is_of_nobody(world: World) -> None:
    owner = await world.owner()
    error = {"code": 1014, "title": "Internal error"}
    status, answer = await world.ask(
        "POST", "/inbound", {"from": TO, "type": "error", "error": error}
    )
    event = await owner.event()
    assert (status, event.key, event.recipient, event.contact) == (201, answer["id"], "", b"")
    assert msgspec.json.decode(event.payload) == error


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "error"])
async def test_every_inbound_type_reaches_the_owner(world: World, kind: str) -> None:
    owner = await world.owner()
    asked = {"from": f"+{TO}", "name": "Ann", "type": kind}
    data = base64.b64encode(b"content").decode()
    asked |= {"data": data} if kind in MEDIA else OBJECTS.get(kind, {"body": "hi"})
    status, answer = await world.ask("POST", "/inbound", asked)
    assert status == 201, answer
    event = await owner.event()
    message = msgspec.json.decode(event.payload)
    assert (event.kind, event.key, event.recipient) == ("inbound", answer["id"], TO)
    assert (message["id"], message["type"], message["from"]) == (answer["id"], kind, TO)
    contact = {"profile": {"name": "Ann"}, "wa_id": TO}
    assert msgspec.json.decode(event.contact) == contact
    if kind in MEDIA:
        assert message[kind]["status"] == "undownloaded"
        assert not {"id", "file"} & message[kind].keys()


async def test_a_list_of_inbound_messages_keeps_its_order(world: World) -> None:
    owner = await world.owner()
    asked = [{"from": TO, "body": f"{n}"} for n in range(20)]
    status, answer = await world.ask("POST", "/inbound", asked)
    assert status == 201
    assert len(set(answer["ids"])) == 20
    assert [(await owner.event()).key for _ in range(20)] == answer["ids"]


async def test_one_bad_message_of_a_list_delivers_none(world: World) -> None:
    asked = [{"from": TO, "body": "good"}, {"from": TO}]
    status, _ = await world.ask("POST", "/inbound", asked)
    assert status == 400
    assert (await world.record())["inbound"] == 0


# Faults


async def test_unknown_numbers(world: World) -> None:
    await world.faults(unknown=[TO])
    owner = await world.owner()
    answer = await owner.send("m1", 1)
    assert (answer.code, answer.title, answer.retry_ms) == (470, "Re-engagement message", -1)


async def test_throttle(world: World) -> None:
    await world.faults(throttle=1, throttle_ms=50)
    owner = await world.owner()
    answer = await owner.send("m1", 1)
    assert (answer.code, answer.retry_ms) == (429, 50)
    await world.faults(throttle=0)
    assert (await owner.send("m1", 1)).code == 0


async def test_pair_rate(world: World) -> None:
    await world.faults(pair_rate=0.01)
    owner = await world.owner()
    assert (await owner.send("m1", 1)).code == 0
    answer = await owner.send("m2", 2)
    assert answer.code == 131056
    assert 90_000 < answer.retry_ms <= 100_000


async def test_rate(world: World) -> None:
    await world.faults(rate=50, sent=0, delivered=0, read=0)
    owner = await world.owner()
    began = time.monotonic()
    answers = await asyncio.gather(*(owner.send(f"m{n}", n) for n in range(20)))
    # Five at once are the burst of 0.1 s; the others come 20 ms apart.
    assert time.monotonic() - began > 0.25
    assert {answer.code for answer in answers} == {0}
    record = await world.record("?ids=1")
    assert record["ids"][TO] == [f"m{n}" for n in range(20)]


async def test_latency(world: World) -> None:
    owner = await world.owner()
    await world.faults(latency_ms=300)
    began = time.monotonic()
    owner.client.tell(Send(SLOT, 1, 1, "m1", TO, "message", memoryview(b"{}")))
    while not (await world.record())["received"]:
        pass
    # What waits still goes before what is said later and without latency.
    await world.faults(latency_ms=0)
    owner.client.tell(Send(SLOT, 1, 2, "m2", TO, "message", memoryview(b"{}")))
    answers = [await owner.next(lambda m: isinstance(m, Answer)) for _ in range(2)]
    assert [answer.id for answer in answers] == ["m1", "m2"]
    assert time.monotonic() - began >= 0.3


async def test_pause(world: World) -> None:
    await world.faults(pause=True)
    owner = await world.owner()
    sending = asyncio.create_task(owner.send("m1", 1))
    other = await world.owner("b", None)
    await other.claim(1, (SLOT + 1) % 32)
    assert (await world.record())["received"] == 0
    assert not sending.done()
    await world.faults(pause=False)
    assert (await sending).code == 0


async def test_status_ratios_and_delays(world: World) -> None:
    await world.faults(sent=0, delivered=0, sent_ms=0, delivered_ms=0, read_ms=0)
    owner = await world.owner()
    await owner.send("m1", 1)
    assert await owner.statuses(1) == [("m1", "read")]
    await world.faults(failed=1)
    await owner.send("m2", 2)
    assert await owner.statuses(1) == [("m2", "failed")]


async def test_repeat(world: World) -> None:
    await world.faults(repeat=1)
    owner = await world.owner()
    await owner.send("m1", 1)
    events = [await owner.event() for _ in range(6)]
    keys = [event.key for event in events]
    assert sorted(keys) == sorted([*set(keys)] * 2)
    assert len({event.number for event in events}) == 6


async def test_reorder(world: World) -> None:
    await world.faults(reorder=1)
    owner = await world.owner()
    await owner.send("m1", 1)
    found = [status for _, status in await owner.statuses(3)]
    assert sorted(found) == sorted(STATUSES)
    assert found != STATUSES


async def test_disconnect_drops_once(world: World) -> None:
    owner = await world.owner()
    owner.up.clear()
    await world.faults(disconnect=True)
    async with asyncio.timeout(PATIENCE):
        await owner.down.wait()
        await owner.up.wait()
    await owner.claim(1)
    assert (await owner.send("m1", 1)).code == 0
    assert (await world.ask("GET", "/faults"))[1]["disconnect"] is False


async def test_refuse_turns_away_new_connections_only(world: World) -> None:
    owner = await world.owner()
    await world.faults(refuse=True)
    assert await _turned_away(world.addresses)
    assert (await owner.send("m1", 1)).code == 0
    await world.faults(refuse=False)
    await world.owner("b", 2)


async def _turned_away(addresses: Addresses, says: bytes = b"") -> bool:
    """Whether a connection that says this is closed without a word."""
    try:
        reader, writer = await asyncio.open_connection(addresses.host, addresses.port)
    except ConnectionError:
        return True
    async with asyncio.timeout(PATIENCE):
        try:
            writer.write(says)
            return await reader.read(1) == b""
        except ConnectionError:
            return True
        finally:
            writer.close()


async def test_forget_fence(world: World) -> None:
    await world.faults(forget_fence=True)
    old = await world.owner("a", 1)
    await world.owner("b", 2)
    assert (await old.send("m1", 1)).code == 0
    record = await world.record("?ids=1")
    assert (record["stale"], record["revoked"], record["ids"]) == (1, 0, {TO: ["m1"]})


async def test_faults_are_read_set_and_cleared(world: World) -> None:
    _, before = await world.ask("GET", "/faults")
    await world.faults(repeat=0.5)
    await world.faults(reorder=0.25)
    _, changed = await world.ask("GET", "/faults")
    assert changed == before | {"repeat": 0.5, "reorder": 0.25}
    assert await world.ask("DELETE", "/faults") == (200, before)
    assert world.simulator.faults.repeat == 0


# The control port


async def test_the_record_can_be_forgotten(world: World) -> None:
    owner = await world.owner()
    await owner.send("m1", 1)
    assert (await world.ask("DELETE", "/record"))[0] == 200
    record = await world.record("?ids=1&times=1")
    assert (record["received"], record["ids"], record["arrivals"]) == (0, {}, [])


async def test_what_it_is_and_who_is_there(world: World) -> None:
    await world.owner("a", 3)
    _, found = await world.ask("GET", "/")
    assert found["slots"] == {str(SLOT): 3}
    assert found["connections"] == [{"node": "node", "incarnation": "a"}]
    assert "simulator" in found["what"]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/inbound", b"", 400),
        ("POST", "/inbound", b"{", 400),
        ("POST", "/inbound", b"\xff\xfe", 400),
        ("POST", "/inbound", b"5", 400),
        ("POST", "/inbound", {"from": "x", "body": "y"}, 400),
        ("POST", "/inbound", {"from": TO, "type": "nonsense"}, 400),
        ("PUT", "/faults", b"[]", 400),
        ("PUT", "/faults", {"repeat": 2}, 400),
        ("PUT", "/faults", {"nonsense": 1}, 400),
        ("POST", "/certificates", {"cc": "49"}, 400),
        ("POST", "/certificates", {"cc": "49", "phone_number": "abc"}, 400),
        ("POST", "/certificates", {"cc": 49, "phone_number": "1511234567"}, 400),
        ("POST", "/certificates", {"cc": "49", "phone_number": "151123", "valid_s": 1e12}, 400),
        ("GET", "/record?since=yesterday", None, 400),
        ("GET", "/nonsense", None, 404),
        ("PATCH", "/faults", {}, 405),
    ],
)
async def test_bad_input_is_a_sentence_and_changes_nothing(
    world: World, method: str, path: str, body: object, expected: int
) -> None:
    before = await world.ask("GET", "/faults")
    status, answer = await world.ask(method, path, body)
    assert status == expected
    assert set(answer) == {"error"}
    assert len(answer["error"]) > 5
    assert await world.ask("GET", "/faults") == before
    assert (await world.record())["inbound"] == 0


async def test_web_pages_are_kept_out(world: World) -> None:
    async with (
        aiohttp.ClientSession(headers={"Origin": "http://example.org"}) as page,
        page.delete(f"{world.addresses.control_url}/record") as answer,
    ):
        assert answer.status == 403


async def test_web_pages_are_kept_out_of_the_services(world: World) -> None:
    url = f"http://{world.addresses.host}:{world.addresses.services_port}/"
    async with aiohttp.ClientSession() as http:
        async with http.get(url, headers={"Origin": "http://example.org"}) as answer:
            assert answer.status == 403
        async with http.get(url) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST", 200),
        ("[::1]:{port}", 200),
        ("rebound.example:{port}", 421),
        ("localhost.rebound.example", 421),
        ("127.0.0.1.rebound.example", 421),
        ("10.0.0.5", 421),
    ],
)
async def test_the_control_port_answers_to_its_own_names_only(
    world: World, name: str, status: int
) -> None:
    """A page whose name was made to mean this machine is of the same origin for its browser."""
    url = world.addresses.control_url
    host = name.format(port=url.rpartition(":")[2])
    async with (
        aiohttp.ClientSession(headers={"Host": host}) as http,
        http.delete(f"{url}/record") as answer,
    ):
        assert answer.status == status
        assert ("error" in await answer.json()) == (status != 200)


def test_names_that_are_listed_are_names() -> None:
    assert is_named("Tunnel.example:1", {"tunnel.example"})
    assert not is_named("other.example", {"tunnel.example"})
    assert not is_named("", {"tunnel.example"})
    assert not is_named("localhost:x", set())


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\xff\xff\xff\xff",
        b"\x01\x00\x00\x00\xc1",
        b"\x02\x00\x00\x00\x91\x01",
        b"GET / HTTP/1.1\r\n",
    ],
)
async def test_who_breaks_the_protocol_is_dropped_alone(world: World, rubbish: bytes) -> None:
    owner = await world.owner()
    assert await _turned_away(world.addresses, rubbish)
    assert (await owner.send("m1", 1)).code == 0


async def test_certificates_outlive_a_restart(tmp_path: Path) -> None:
    certs = []
    for _ in range(2):
        key = authority.kept_key(tmp_path / "authority.key")
        async with running(key=key) as world:
            asked = {"cc": "49", "phone_number": "1511234567", "name": "Ann"}
            status, answer = await world.ask("POST", "/certificates", asked)
            assert status == 201
            certs.append(answer["cert"])
            _, found = await world.ask("GET", "/authority")
            public_key = base64.b64decode(found["public_key"])
    for cert in certs:
        checked = authority.check(cert, public_key, time.time())
        assert (checked.number, checked.name) == (TO, "Ann")
    assert answer["expires"] == checked.expires


async def test_an_expired_certificate_can_be_had(world: World) -> None:
    asked = {"cc": "49", "phone_number": "1511234567", "valid_s": -60}
    _, answer = await world.ask("POST", "/certificates", asked)
    public_key = authority.public_bytes(world.simulator.key)
    with pytest.raises(ValueError, match="expired"):
        authority.check(answer["cert"], public_key, time.time())


async def test_serve_runs_until_cancelled(tmp_path: Path) -> None:
    ready: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve("127.0.0.1", 0, 0, ready=ready.set_result, data_dir=tmp_path)
    )
    addresses = await asyncio.wait_for(ready, PATIENCE)
    assert (tmp_path / "authority.key").exists()
    with pytest.raises(OSError, match="address already in use"):
        await serve("127.0.0.1", addresses.port, 0)
    control_port = int(addresses.control_url.rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"):
        await serve("127.0.0.1", 0, control_port)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(addresses.host, addresses.port)


# The command


async def _run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, command, arguments)


@pytest.fixture
def data_dir(world: World, tmp_path: Path) -> str:
    cluster = {"simulator": {"control_url": world.addresses.control_url}}
    (tmp_path / "cluster.json").write_bytes(msgspec.json.encode(cluster))
    return str(tmp_path)


async def test_inject_record_and_faults_by_hand(world: World, data_dir: str) -> None:
    owner = await world.owner()
    injected = await _run("inject", "--data-dir", data_dir, "--from", TO, "--body", "hi")
    assert (await owner.event()).key == json.loads(injected.output)["id"]
    record = await _run("record", "--data-dir", data_dir, "--ids")
    assert (json.loads(record.output)["inbound"], json.loads(record.output)["ids"]) == (1, {})
    switches = ["repeat=0.5", f"unknown={TO}", f"blocked={TO},49151", 'templates={"promo":2061}']
    shown = await _run("faults", "--data-dir", data_dir, *switches)
    assert json.loads(shown.output)["unknown"] == [TO]
    assert (world.simulator.faults.repeat, world.simulator.faults.unknown) == (0.5, (TO,))
    assert world.simulator.faults.blocked == (TO, "49151")
    assert world.simulator.faults.templates == {"promo": 2061}
    await _run("faults", "--url", world.addresses.control_url, "--clear")
    assert world.simulator.faults.repeat == 0
    await _run("record", "--data-dir", data_dir, "--forget")
    assert (await world.record())["inbound"] == 0


async def test_inject_a_file_and_an_object(world: World, data_dir: str, tmp_path: Path) -> None:
    owner = await world.owner()
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"png")
    common = ["inject", "--data-dir", data_dir, "--from", TO, "--type"]
    await _run(*common, "image", "--file", str(picture), "--body", "look")
    image = msgspec.json.decode((await owner.event()).payload)["image"]
    assert (image["mime_type"], image["caption"]) == ("image/png", "look")
    await _run(*common, "location", "--json", '{"latitude": 1, "longitude": 2}')
    location = msgspec.json.decode((await owner.event()).payload)["location"]
    assert location == {"latitude": 1, "longitude": 2}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["faults", "repeat=2"], "the simulator refused: .*repeat"),
        (["faults", "repeat"], "NAME=VALUE"),
        (["faults", "repeat=much"], "not JSON"),
        (["inject", "--from", "abc", "--body", "x"], "the simulator refused: .*digits"),
        (["inject", "--from", TO, "--json", "{"], "not JSON"),
        (["record", "--url", "http://127.0.0.1:1"], "no simulator answers"),
        (["record", "--url", "nonsense"], "no simulator answers"),
        (["record", "--data-dir", "/nonexistent"], "--url"),
    ],
)
async def test_what_goes_wrong_by_hand_is_one_sentence(
    data_dir: str, arguments: list[str], says: str
) -> None:
    chosen = [] if {"--url", "--data-dir"} & {*arguments} else ["--data-dir", data_dir]
    result = await _run(*arguments, *chosen)
    assert isinstance(result.exception, CommandError)
    sentence = str(result.exception)
    assert re.search(says, sentence)
    assert "\n" not in sentence


async def test_a_data_directory_without_a_simulator(tmp_path: Path) -> None:
    for content in (b"{}", b"[]", b"{", b'{"simulator": null}'):
        (tmp_path / "cluster.json").write_bytes(content)
        result = await _run("record", "--data-dir", str(tmp_path))
        assert isinstance(result.exception, CommandError)
        assert "--url" in str(result.exception)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
async def test_the_command_serves_until_it_is_stopped(stop: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from warouter.cli.simulator import simulator; simulator()",
        *("--port", "0", "--control-port", "0", "--services-port", "0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = (await process.stdout.readline()).decode()
        found = re.search(r"at ([\d.]+):(\d+), services port \d+, control port (http://\S+)", line)
        assert found is not None
        async with aiohttp.ClientSession() as http, http.get(found[3]) as answer:
            assert answer.status == 200
        process.send_signal(stop)
        assert await process.wait() == 0


async def test_help_explains_every_switch(world: World) -> None:
    _, faults = await world.ask("GET", "/faults")
    for arguments in (["--help"], ["faults", "--help"]):
        output = (await _run(*arguments)).output
        assert all(f"{name} (" in output for name in faults)


# Services


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/contacts", b'{"contacts":["491511"]}', 200),
        ("POST", "/contacts", b'{"contacts":[]}', 400),
        ("POST", "/contacts", b'{"contacts":["1"],"more":1}', 400),
        ("POST", "/contacts", b'{"contacts":[%b"1"]}' % (b'"1",' * 1000), 400),
        ("POST", "/contacts", b"{}", 400),
        ("POST", "/contacts", b"\xff", 400),
        ("GET", "/contacts/491511/identity", b"", 404),
        ("PUT", "/contacts/491511/identity", b'{"hash":"x"}', 404),
        ("PUT", "/contacts/491511/identity", b'{"hash":1}', 400),
        ("PUT", "/contacts/%ff%00/identity", b'{"hash":"x"}', 404),
    ],
)
async def test_services_for_contacts(
    world: World, method: str, path: str, body: bytes, status: int
) -> None:
    url = f"http://127.0.0.1:{world.addresses.services_port}{path}"
    async with aiohttp.request(method, url, data=body) as answer:
        assert answer.status == status
        content = await answer.json()
    assert content == {"contacts": ["491511"]} if status == 200 else content["error"]
    assert world.simulator.exchange.record.counters.checked == (status == 200)

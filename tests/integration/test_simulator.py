"""The simulator over real sockets, with the client that coreapps use."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest

from tests.harness.simulator import SLOT, TO, World, running
from tests.harness.wait import PATIENCE
from warouter.lab.simulator.control import Addresses
from warouter.lab.simulator.guard import is_named
from warouter.lab.simulator.server import Simulator, serve
from warouter.upstream import authority
from warouter.upstream.protocol import Answer, Send

STATUSES = ["sent", "delivered", "read"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


async def test_messages_statuses_and_repeats_pass_the_door(world: World) -> None:
    owner = await world.owner()
    assert await owner.send("m1", 1) == await owner.send("m1", 1) == Answer(SLOT, "m1")
    await owner.send("m2", 2)
    events = [await owner.event() for _ in range(6)]
    payloads = [msgspec.json.decode(event.payload) for event in events]
    for id in ("m1", "m2"):
        assert [p["status"] for p in payloads if p["id"] == id] == STATUSES
    assert all(abs(int(p["timestamp"]) - time.time()) < PATIENCE for p in payloads)
    record = await world.record("?ids=1&times=1")
    assert (record["received"], record["unique"], record["repeats"]) == (3, 2, 1)
    assert record["ids"] == {TO: ["m1", "m2"]}
    assert [arrival[1:] for arrival in record["arrivals"]] == [[SLOT, "m1", 1], [SLOT, "m2", 1]]
    first, second = (arrival[0] for arrival in record["arrivals"])
    assert first <= second <= time.monotonic()
    later = await world.record(f"?since={first}")
    assert len(later["arrivals"]) == (1 if first < second else 0)
    assert "ids" not in later
    assert (await world.ask("DELETE", "/record"))[0] == 200
    record = await world.record("?ids=1&times=1")
    assert (record["received"], record["ids"], record["arrivals"]) == (0, {}, [])


# Inbound


async def test_inbound_media_waits_for_its_owner_and_is_not_downloaded_yet(world: World) -> None:
    asked = {"from": f"+{TO}", "type": "image", "data": base64.b64encode(b"content").decode()}
    status, answer = await world.ask("POST", "/inbound", asked)
    assert status == 201
    event = await (await world.owner()).event()
    assert (event.kind, event.key, event.recipient) == ("inbound", answer["id"], TO)
    image = msgspec.json.decode(event.payload)["image"]
    assert image["status"] == "undownloaded"
    assert not {"id", "file"} & image.keys()


async def test_a_list_of_inbound_messages_keeps_its_order(world: World) -> None:
    owner = await world.owner()
    asked = [{"from": TO, "body": f"{n}"} for n in range(20)]
    status, answer = await world.ask("POST", "/inbound", asked)
    assert status == 201
    assert len(set(answer["ids"])) == 20
    assert [(await owner.event()).key for _ in range(20)] == answer["ids"]


# Faults


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


# The control port


async def test_the_simulator_describes_itself_and_its_clients(world: World) -> None:
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
        ("POST", "/inbound", [{"from": TO, "body": "good"}, {"from": TO}], 400),
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
    services = f"http://{world.addresses.host}:{world.addresses.services_port}/"
    page = {"Origin": "http://example.org"}
    async with aiohttp.ClientSession() as http:
        for method, url, headers, status in (
            ("DELETE", f"{world.addresses.control_url}/record", page, 403),
            ("GET", services, page, 403),
            ("GET", services, {}, 200),
        ):
            async with http.request(method, url, headers=headers) as answer:
                assert answer.status == status


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


async def test_the_control_port_is_on_loopback_wherever_the_others_are() -> None:
    simulator = Simulator("0.0.0.0")
    addresses = await simulator.start()
    try:
        port = urlsplit(addresses.control_url).port
        for host, reached in (("127.0.0.1", True), ("127.0.0.2", False)):
            _, writer = await asyncio.open_connection(host, addresses.port)
            writer.close()
            if reached:
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
            else:
                with pytest.raises(OSError, match="Connect call failed"):
                    await asyncio.open_connection(host, port)
    finally:
        await simulator.stop()


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
async def test_a_connection_that_breaks_the_protocol_is_dropped_alone(
    world: World, rubbish: bytes
) -> None:
    owner = await world.owner()
    assert await _turned_away(world.addresses, rubbish)
    assert (await owner.send("m1", 1)).code == 0


async def test_certificates_can_be_had_also_expired_ones(world: World) -> None:
    asked = {"cc": "49", "phone_number": "1511234567", "name": "Ann"}
    status, good = await world.ask("POST", "/certificates", asked)
    assert status == 201
    _, found = await world.ask("GET", "/authority")
    public_key = base64.b64decode(found["public_key"])
    checked = authority.check(good["cert"], public_key, time.time())
    assert (checked.number, checked.name, checked.expires) == (TO, "Ann", good["expires"])
    _, old = await world.ask("POST", "/certificates", asked | {"valid_s": -60})
    with pytest.raises(ValueError, match="expired"):
        authority.check(old["cert"], public_key, time.time())


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

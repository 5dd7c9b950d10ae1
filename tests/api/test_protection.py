"""The HTTP edge against large, slow and many clients (S8, S9, S11), through real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web

from tests.api.conftest import Api
from tests.harness.offers import Links, Number
from tests.harness.wait import PATIENCE, Awake, soon
from warouter.api.app import build_app
from warouter.api.messages.fastpath import FastPath
from warouter.errors import ApiError
from warouter.http.connection import Connection
from warouter.http.edge import Edge
from warouter.http.pace import Limits
from warouter.link.wire import Outgoing

Open = Callable[..., Awaitable["Front"]]
GOOD = b'{"to":"4915112345678","type":"text","text":{"body":"hello"}}'
QUICK = Limits(
    head_seconds=1.0, body_grace_seconds=1.0, idle_seconds=2.0, stall_seconds=1.0, exempt=()
)


class Front:
    """A listening edge, and a client that says bytes to it."""

    def __init__(self, edge: Edge, port: int, api: Api) -> None:
        self.edge = edge
        self.port = port
        self.api = api
        self._writers: list[asyncio.StreamWriter] = []

    def figure(self, name: str, **labels: str) -> float:
        (value,) = [s.value for s in self.edge.samples() if (s.name, s.labels) == (name, labels)]
        return value

    @property
    def connections(self) -> int:
        states = ("idle", "read", "handle-request")
        return int(sum(self.figure("web_requests", state=state) for state in states))

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        self._writers.append(writer)
        return reader, writer

    def hang_up(self) -> None:
        """Close what a test has left open."""
        for writer in self._writers:
            writer.close()

    async def say(self, request: bytes) -> tuple[int, dict[str, Any]]:
        reader, writer = await self.connect()
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
        try:
            return await heard(reader)
        finally:
            writer.close()

    def post(self, *fields: bytes, body: bytes = b"", path: bytes = b"/v1/messages") -> bytes:
        token = self.api.user.encode()
        lines = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Authorization: Bearer " + token]
        return b"\r\n".join([*lines, *fields]) + b"\r\n\r\n" + body

    def get(self, *fields: bytes, path: bytes = b"/") -> bytes:
        return b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: x", *fields]) + b"\r\n\r\n"


async def heard(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any]]:
    """Status and JSON of one answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return int(head.split(b" ")[1]), json.loads(await reader.readexactly(length))


@pytest_asyncio.fixture
async def front(api: Api) -> AsyncIterator[Open]:
    def offer(message: Outgoing, done: Callable[[bytes | ApiError], None]) -> None:
        api.recorder.submitted.append(message)
        asyncio.get_running_loop().call_soon(done, message.id)

    await api.context.tokens.caller(api.user)  # in memory from here on
    async with contextlib.AsyncExitStack() as stack:

        async def begin(limits: Limits | None = None) -> Front:
            app = build_app(api.context)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            assert runner.server is not None
            sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
            fast = FastPath(api.context, Links(offer), Number())
            edge = Edge(runner.server, [sock], None, limits, fast)
            edge.open()
            stack.push_async_callback(edge.leave, lambda: None)
            sweep = asyncio.create_task(edge.sweep())
            stack.callback(sweep.cancel)
            front = Front(edge, sock.getsockname()[1], api)
            stack.callback(front.hang_up)
            return front

        yield begin


# S8: sizes, at n and n + 1


@pytest.mark.parametrize(("fields", "status"), [(99, 200), (100, 400)])
async def test_a_hundred_fields(front: Open, fields: int, status: int) -> None:
    f = await front()
    many = [b"X-%d: 1" % n for n in range(fields)]  # and Host
    assert (await f.say(f.get(*many)))[0] == status


@pytest.mark.parametrize(("size", "status"), [(8192, 404), (8193, 400)])
async def test_a_target_of_8_kib(front: Open, size: int, status: int) -> None:
    f = await front()
    assert (await f.say(f.get(path=b"/" + b"a" * (size - 1))))[0] == status


@pytest.mark.parametrize(("size", "status"), [(16_384, 200), (16_385, 431)])
async def test_a_header_block_of_16_kib(front: Open, size: int, status: int) -> None:
    f = await front()
    rest = size - len(b"Host: x\r\n") - len(b"A: \r\nB: \r\nC: \r\n")
    parts = [rest // 3, rest // 3, rest - 2 * (rest // 3)]
    fields = [name + b": " + b"v" * n for name, n in zip((b"A", b"B", b"C"), parts, strict=True)]
    got, body = await f.say(f.get(*fields))
    assert got == status
    if status != 200:
        assert body["errors"][0]["details"]


async def test_a_field_as_large_as_the_header_block(front: Open) -> None:
    f = await front()
    value = b"v" * (16_384 - len(b"Host: x\r\nA: \r\n"))
    assert (await f.say(f.get(b"A: " + value)))[0] == 200
    assert (await f.say(f.get(b"A: v" + value)))[0] == 431


ONCE = """Host Authorization Content-Length Transfer-Encoding Content-Type Content-Location
Content-Range ETag Max-Forwards Server User-Agent"""


@pytest.mark.parametrize("name", ONCE.split())
async def test_a_field_that_stands_there_twice_is_named(front: Open, name: str) -> None:
    f = await front()
    status, body = await f.say(f.get(*[name.encode() + b": 1"] * 2))
    assert status == 400
    assert body["errors"][0]["details"] == f"the field {name.title()} is given twice"


async def test_a_header_that_never_ends_is_refused_early(front: Open) -> None:
    f = await front()
    reader, writer = await f.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    with contextlib.suppress(ConnectionError):
        for n in range(90):
            writer.write(b"X-%d: " % n + b"v" * 1000 + b"\r\n")
            await writer.drain()
    assert (await heard(reader))[0] == 431


@pytest.mark.parametrize(("size", "status"), [(65_536, 201), (65_537, 413)])
async def test_a_body_of_64_kib(front: Open, size: int, status: int) -> None:
    f = await front()
    body = GOOD[:-1] + b" " * (size - len(GOOD)) + b"}"
    chunked = b"%x\r\n" % size + body + b"\r\n0\r\n\r\n"
    length = b"Content-Length: %d" % size
    assert (await f.say(f.post(length, body=body)))[0] == status
    assert (await f.say(f.post(b"Transfer-Encoding: chunked", body=chunked)))[0] == status


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_a_gibibyte_without_a_length_is_refused_in_flat_memory(front: Open) -> None:
    f = await front()
    reader, writer = await f.connect()
    writer.write(f.post(b"Transfer-Encoding: chunked"))
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    before, most = resident(), 0
    said = asyncio.create_task(heard(reader))  # it may come, and the connection end, long before
    with contextlib.suppress(ConnectionError):
        for _ in range(1024):
            writer.write(chunk)
            await writer.drain()
            most = max(most, resident())
    assert (await said)[0] == 413
    writer.close()
    assert most - before < 16 << 20


async def test_a_million_brackets_are_400_at_once(front: Open) -> None:
    """On the wire the limit of a body comes first; the decoder itself bears all of them."""
    f = await front()
    f.api.context.operations.rates = None
    for deep in (b"[" * 60_000, b'{"a":' * 12_000):
        began = time.perf_counter()
        length = b"Content-Length: %d" % len(deep)
        assert (await f.say(f.post(length, body=deep)))[0] == 400
        assert time.perf_counter() - began < 5.0


# S11


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"gzip, identity"])
async def test_compressed_bodies_are_refused_unread(front: Open, coding: bytes) -> None:
    f = await front()
    bomb = b"\x1f\x8b\x08" + b"\0" * 1000
    status, body = await f.say(
        f.post(b"Content-Encoding: " + coding, b"Content-Length: 1003", body=bomb)
    )
    assert status == 400
    assert "identity" in body["errors"][0]["details"]
    assert f.api.recorder.submitted == []


# S9: pace


async def ended(reader: asyncio.StreamReader, seconds: float = PATIENCE) -> bytes:
    """What is said until the connection ends."""
    async with asyncio.timeout(seconds):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def test_a_slow_head_is_ended_with_408(front: Open) -> None:
    f = await front(QUICK)
    reader, writer = await f.connect()
    writer.write(b"GET / HTTP/1.1\r\n")

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"X")
                await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    said = await ended(reader)
    dripping.cancel()
    assert said.startswith(b"HTTP/1.1 408 ")
    assert f.figure("warouter_connections_dropped_total", reason="head") == 1


async def test_a_silent_connection_is_ended_without_a_word(front: Open) -> None:
    f = await front(QUICK)
    reader, _ = await f.connect()
    assert await ended(reader) == b""


async def test_a_client_that_goes_amid_its_body_is_no_outage(
    front: Open, caplog: pytest.LogCaptureFixture
) -> None:
    f = await front()
    _, writer = await f.connect()
    writer.write(f.post(b"Content-Length: 60000", body=b"{"))
    await writer.drain()
    assert (await f.say(f.get()))[0] == 200  # the first was taken up meanwhile
    writer.transport.abort()
    await soon(lambda: not f.api.context.operations.meter.under_way)
    assert [r.message for r in caplog.records if r.name.startswith("warouter")] == []


async def test_a_steady_body_is_taken(front: Open) -> None:
    f = await front(QUICK)
    reader, writer = await f.connect()
    body = GOOD[:-1] + b" " * (8_000 - len(GOOD)) + b"}"
    writer.write(f.post(b"Content-Length: 8000"))
    for n in range(0, 8_000, 400):  # 4,000 bytes a second, for two seconds
        writer.write(body[n : n + 400])
        await asyncio.sleep(0.1)
    assert (await heard(reader))[0] == 201


async def test_a_closed_connection_whose_client_does_not_read_is_ended(front: Open) -> None:
    """Its answers fill every buffer, then it says what ends it: nobody waits for it for ever."""
    f = await front()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", f.port))
    await soon(lambda: any(c.transport is not None for c in f.edge._connections._open))
    (connection,) = f.edge._connections._open
    wire = connection.transport
    wire.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    server, asked = f.edge._connections._server, 0
    while not wire.get_write_buffer_size():
        await loop.sock_sendall(sock, f.get())
        asked += 1
        await soon(lambda n=asked: server.requests_count == n and connection.idle)
    await loop.sock_sendall(sock, b"\0\r\n\r\n")
    await soon(lambda: wire.is_closing())
    assert wire.get_write_buffer_size()
    f.edge._connections.limits = QUICK
    await soon(lambda: f.connections == 0)
    assert f.figure("warouter_connections_dropped_total", reason="stall") == 1
    assert f.figure("warouter_connections_dropped_total", reason="head") == 0
    sock.close()


def upgrade(f: Front) -> bytes:
    """Asks for what is declined, and is answered before its body has come."""
    fields = (b"Upgrade: websocket", b"Connection: Upgrade", b"Content-Length: 4")
    return f.get(*fields).replace(b"GET / ", b"POST /v1/messages ")


async def test_an_upgrade_that_is_answered_before_its_body_is_the_last_request(front: Open) -> None:
    f = await front(QUICK)
    reader, writer = await f.connect()
    writer.write(upgrade(f))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nConnection: close\r\n" in head
    writer.write(b"yyyy" + f.get())
    assert b"HTTP/1.1" not in await ended(reader, 20)
    await soon(lambda: f.connections == 0)


async def test_a_request_that_aiohttp_keeps_to_itself_ends_its_connection(
    front: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Connection, "_unsure", False)  # as if nobody knew of upgrades
    f = await front()
    reader, writer = await f.connect()
    writer.write(upgrade(f))
    assert (await heard(reader))[0] == 401
    writer.write(b"yyyy")
    await soon(lambda: f.figure("web_requests", state="idle") == 1)
    writer.write(f.get())
    assert await ended(reader, 20) == b""
    assert [r.message for r in caplog.records if r.name.startswith("warouter.http.connection")] == [
        "connection failed"
    ]
    assert f.connections == 0


@pytest.mark.parametrize("fast", [True, False], ids=["fast path", "aiohttp"])
async def test_a_client_that_sends_no_more_hears_what_it_has_asked(front: Open, fast: bool) -> None:
    f = await front()
    reader, writer = await f.connect()
    fields = [b"Content-Length: %d" % len(GOOD)] + ([] if fast else [b"TE: trailers"])
    half = b"GET / HTTP/1.1\r\nHo"
    writer.write(f.post(*fields, body=GOOD) * 3 + half)
    writer.write_eof()
    for _ in range(3):
        assert (await heard(reader))[0] == 201
    assert await ended(reader, 20) == b""
    assert len(f.api.recorder.submitted) == 3
    await soon(lambda: f.connections == 0)


async def test_a_client_that_sends_no_more_amid_a_body_is_closed(front: Open) -> None:
    f = await front()
    reader, writer = await f.connect()
    writer.write(f.post(b"Content-Length: 60000", body=b"{"))
    writer.write_eof()
    assert await ended(reader, 20) == b""
    await soon(lambda: f.connections == 0)


async def test_kept_alive_for_a_while(front: Open) -> None:
    f = await front(QUICK)
    reader, writer = await f.connect()
    began = time.monotonic()
    for _ in range(2):
        writer.write(f.get())
        assert (await heard(reader))[0] == 200
        await asyncio.sleep(1.2)  # longer than a head may take
    assert await ended(reader, 5) == b""
    assert time.monotonic() - began > 3.0


IDLE = Limits(head_seconds=1.0, body_grace_seconds=9.0, idle_seconds=30.0, exempt=())


@pytest.mark.parametrize("apart", [False, True], ids=["in one read", "behind the answer"])
async def test_a_head_behind_another_request_has_its_deadline_too(front: Open, apart: bool) -> None:
    f = await front(IDLE)
    reader, writer = await f.connect()
    half = b"GET / HTTP/1.1\r\nX: "
    writer.write(f.get() if apart else f.get() + half)
    assert (await heard(reader))[0] == 200
    if apart:
        writer.write(half)
    assert (await ended(reader, 15)).startswith(b"HTTP/1.1 408 ")
    assert f.figure("warouter_connections_dropped_total", reason="head") == 1


async def test_a_body_that_is_still_coming_is_not_idle(front: Open) -> None:
    """Not even on a connection that was used before, whose time to be idle has begun."""
    f = await front(Limits(body_grace_seconds=60.0, idle_seconds=1.0, exempt=()))
    reader, writer = await f.connect()
    length = b"Content-Length: %d" % len(GOOD)
    for _ in range(2):
        writer.write(f.post(length))
        for at in range(0, len(GOOD), 20):
            writer.write(GOOD[at : at + 20])
            await asyncio.sleep(0.6)
        assert (await heard(reader))[0] == 201


async def test_a_refusal_before_the_body_ends_a_client_that_waits_for_continue(
    front: Open,
) -> None:
    """It may send its body or not: nothing behind the answer can be read as a request."""
    f = await front()
    reader, writer = await f.connect()
    length = b"Content-Length: 70000"
    writer.write(f.post(length, b"Expect: 100-continue"))
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100 "):
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close\r\n" in head


@pytest.mark.parametrize("method", [b"POST", b"DELETE"])
@pytest.mark.parametrize("path", [b"/v1/messages", b"/v1/stats/app", b"/nowhere"])
async def test_another_expectation_is_417_on_whatever_path(
    front: Open, method: bytes, path: bytes
) -> None:
    f = await front()
    reader, writer = await f.connect()
    request = f.post(b"Expect: miracle", b"Content-Length: 0", path=path)
    writer.write(request.replace(b"POST", method))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 417 ")
    assert b"\r\nServer: warouter/" in head
    assert b"\r\nCache-Control: no-store\r\n" in head
    (error,) = json.loads(await reader.readuntil(b"}]}"))["errors"]
    assert (error["code"], error["details"]) == (1000, "Expect may only be 100-continue")


# S9: how many


async def test_too_many_connections_of_one_address(front: Open) -> None:
    f = await front(Limits(connections_per_address=3, exempt=()))
    held = [await f.connect() for _ in range(3)]
    for reader, writer in held:  # they are served
        writer.write(f.get())
        assert (await heard(reader))[0] == 200
    reader, writer = await f.connect()
    status, body = await heard(reader)
    assert (status, body["errors"][0]["code"]) == (503, 1016)
    assert await reader.read() == b""
    writer.close()
    other = await f.connect(local_addr=("127.0.0.9", 0))
    other[1].write(f.get())
    assert (await heard(other[0]))[0] == 200
    held[0][1].close()
    await soon(lambda: f.connections == 3)
    assert (await f.say(f.get()))[0] == 200  # the place is free again
    assert f.figure("warouter_connections_refused_total") >= 1


async def test_this_host_is_not_counted_by_address_but_in_all(front: Open) -> None:
    f = await front(Limits(connections=120, connections_per_address=100))
    held = [await f.connect() for _ in range(120)]
    for reader, writer in held:
        writer.write(f.get())
        assert (await heard(reader))[0] == 200
    assert (await f.say(f.get()))[0] == 503


# S9 with the real limits: 1,500 slow clients of each kind beside an honest one


async def test_1500_slow_clients_of_each_kind_are_dropped_in_time(
    front: Open, pool: asyncpg.Pool
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    f = await front(Limits(connections=10_000))
    firsts = {
        "silent": b"",
        "head": b"GET / HTTP/1.1\r\nX: ",
        "body": f.post(b"Content-Length: 60000", body=b"{"),
    }
    kinds = [first for first in firsts.values() for _ in range(1_500)]
    clients = []
    for first in kinds:
        clients.append(await f.connect())
        clients[-1][1].write(first)
    awake = Awake()

    async def wait_for_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        await ended(reader)
        writer.close()
        return awake.seconds

    honest = []
    async with awake:
        slow = asyncio.gather(*(wait_for_end(*client) for client in clients))
        while not slow.done():
            asked = awake.seconds
            assert (await f.say(f.get()))[0] == 200
            honest.append(awake.seconds - asked)
            await asyncio.sleep(0.05)
    assert max(await slow) <= 15.0
    assert len(honest) >= 20
    assert sorted(honest)[int(len(honest) * 0.9)] < 0.5
    assert f.figure("warouter_connections_dropped_total", reason="head") == 3_000
    assert f.figure("warouter_connections_dropped_total", reason="body") == 1_500

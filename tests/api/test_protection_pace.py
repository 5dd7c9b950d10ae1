"""The HTTP edge against slow and many clients (S9), through real sockets."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import time

import pytest

from tests.harness.edge import Front, Open, heard
from tests.harness.twice import GOOD
from tests.harness.wait import PATIENCE, Awake, soon
from warouter.http.connection import Connection
from warouter.http.pace import ConnectionLimits

QUICK = ConnectionLimits(
    head_seconds=1.0, body_grace_seconds=1.0, idle_seconds=2.0, stall_seconds=1.0, exempt=()
)


async def ended(reader: asyncio.StreamReader, seconds: float = PATIENCE) -> bytes:
    """What is said until the connection ends."""
    async with asyncio.timeout(seconds):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


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
        await soon(lambda n=asked: server.requests_count == n and connection.is_idle)
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
    assert [r.message for r in caplog.records if r.name.startswith("warouter.http.")] == [
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


IDLE = ConnectionLimits(head_seconds=1.0, body_grace_seconds=9.0, idle_seconds=30.0, exempt=())


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
    f = await front(ConnectionLimits(body_grace_seconds=60.0, idle_seconds=1.0, exempt=()))
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
    f = await front(ConnectionLimits(connections_per_address=3, exempt=()))
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


# S9 with the real limits: 500 slow clients of each kind beside an honest one


async def test_1500_slow_clients_are_dropped_in_time(front: Open) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    f = await front(ConnectionLimits(connections=10_000))
    firsts = {
        "silent": b"",
        "head": b"GET / HTTP/1.1\r\nX: ",
        "body": f.post(b"Content-Length: 60000", body=b"{"),
    }
    kinds = [first for first in firsts.values() for _ in range(500)]
    clients = []
    for first in kinds:
        clients.append(await f.connect())
        clients[-1][1].write(first)
    awake, said = Awake(), {}

    async def wait_for_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        said[writer] = await ended(reader)
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
    assert {said[writer] for _, writer in clients[:500]} == {b""}  # of those without a word
    assert len(honest) >= 20
    assert sorted(honest)[int(len(honest) * 0.9)] < 0.5
    assert f.figure("warouter_connections_dropped_total", reason="head") >= 1_000
    assert f.figure("warouter_connections_dropped_total", reason="body") == 500

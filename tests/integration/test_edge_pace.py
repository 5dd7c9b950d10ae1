"""Slow clients at the edge as it runs: on uvloop, in plain text and in TLS (S9)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from aiohttp import web

from tests.harness.certificates import contexts
from tests.harness.wait import PATIENCE, soon
from warouter.http.connection import OWED_LOOKS
from warouter.http.edge import Edge
from warouter.http.pace import ConnectionLimits
from warouter.net.sockets import heard

QUICK = ConnectionLimits(
    head_seconds=1.0, body_grace_seconds=1.0, stall_seconds=1.0, idle_seconds=3.0
)
LARGE = 64 << 20
SERVER, CLIENT = contexts("localhost")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def answer(request: web.BaseRequest) -> web.Response:
    return web.Response(body=b"x" * LARGE if request.path == "/large" else await request.read())


Connect = Callable[..., Awaitable[Streams]]
Clients = Callable[[Edge, Connect], Awaitable[None]]


async def with_edge(clients: Clients, limits: ConnectionLimits, secure: bool) -> None:
    assert type(asyncio.get_running_loop()) is uvloop.Loop
    sock = socket.create_server(("127.0.0.1", 0))
    edge = Edge(web.Server(answer), [sock], SERVER if secure else None, limits)
    edge.open()
    sweep = asyncio.create_task(edge.sweep())

    def connect(*, mute: bool = False, **options: Any) -> Awaitable[Streams]:
        """``mute``: no TLS."""
        if secure and not mute:
            options |= {"ssl": CLIENT, "server_hostname": "localhost"}
        return asyncio.open_connection(*sock.getsockname(), limit=1024, **options)

    try:
        async with asyncio.timeout(PATIENCE):
            await clients(edge, connect)
        assert not sweep.done()  # whatever clients do: it goes on
    finally:
        sweep.cancel()
        await edge.leave(lambda: None)
        await asyncio.sleep(0.2)  # uvloop closes what was aborted


def on_uvloop(clients: Clients, limits: ConnectionLimits = QUICK, *, secure: bool = True) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(with_edge(clients, limits, secure))


def dropped(edge: Edge, reason: str) -> float:
    (value,) = [
        s.value
        for s in edge.samples()
        if s.name == "warouter_connections_dropped_total" and s.labels == {"reason": reason}
    ]
    return value


SLOW = {
    "head": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nx",
    "stall": b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("fault", SLOW)
@pytest.mark.parametrize("secure", [False, True])
def test_slow_clients_on_uvloop(secure: bool, fault: str) -> None:
    async def slow(edge: Edge, connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(SLOW[fault])
        if fault != "stall":
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        await soon(lambda: dropped(edge, fault) == 1)
        writer.transport.abort()
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()

    on_uvloop(slow, secure=secure)


def test_a_tls_handshake_that_does_not_come_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warouter.net.acceptor.HANDSHAKE_SECONDS", 1.0)

    async def mute(_edge: Edge, connect: Connect) -> None:
        reader, writer = await connect(mute=True)
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()

    on_uvloop(mute)


@pytest.mark.parametrize("late", [False, True], ids=["silent", "late"])
def test_a_tls_handshake_does_not_hold_up_a_stop(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warouter.net.acceptor.HANDSHAKE_SECONDS", 60.0)
    monkeypatch.setattr("warouter.http.edge.DRAIN_SECONDS", 30.0)

    async def mute(edge: Edge, connect: Connect) -> None:
        _, writer = await connect(mute=True)
        await soon(lambda: len(edge._connections) == 1)
        if late:  # as if it had ended its handshake in the turn in which it was closed
            (connection,) = edge._connections._open
            connection._sock = None
            edge._connections.close_idle(0.0)
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.start_tls(CLIENT, server_hostname="localhost")
        held: list[bool] = []
        await edge.leave(lambda: held.append(True))
        assert (held, len(edge._connections)) == ([], 0)
        writer.close()

    on_uvloop(mute, ConnectionLimits())


class Slow:
    """A TLS client that says each of its words when it is told to."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = CLIENT.wrap_bio(self._came, self._goes, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self._writer.write(self._goes.read())

    async def shake_and_say(self, text: bytes) -> None:
        """In TLS 1.3 that is one word."""
        shaken = False
        while not shaken:
            await self._hear()
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                shaken = True
        self.say(text)

    def say(self, text: bytes) -> None:
        self._tls.write(text)
        self._writer.write(self._goes.read())

    async def answer(self) -> bytes:
        while True:
            await self._hear()
            with contextlib.suppress(ssl.SSLWantReadError):
                return self._tls.read(1 << 16)

    def close(self) -> None:
        self._writer.close()

    async def _hear(self) -> None:
        data = await self._reader.read(1 << 16)
        assert data, "cut off"
        self._came.write(data)


def test_a_stop_closes_nobody_who_is_about_to_ask() -> None:
    async def about(edge: Edge, connect: Connect) -> None:
        client = Slow(await connect(mute=True))
        await soon(lambda: len(edge._connections) == 1)
        (connection,) = edge._connections._open
        accepted = connection.since
        await soon(lambda: connection._sock is not None and heard(connection._sock))
        edge._connections.close_idle(0.0)
        await client.shake_and_say(b"GET / HT")
        await soon(lambda: connection.state == "read")
        assert connection.since > accepted
        edge._connections.close_idle(0.0)
        edge._connections.leave()
        client.say(b"TP/1.1\r\nHost: x\r\n\r\n")
        said = await client.answer()
        assert said.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" in said
        client.close()

    on_uvloop(about, ConnectionLimits())


def test_a_connection_without_a_request_has_twice_the_time_at_a_stop() -> None:
    async def made(edge: Edge, connect: Connect) -> None:
        reader, writer = await connect()
        await soon(lambda: edge._connections.states()["idle"] == 1)
        (connection,) = edge._connections._open
        await soon(lambda: connection._sock is None)
        later = connection.since + 1.0
        assert connection.idle_for(later) == pytest.approx(0.5)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await soon(lambda: connection.state == "idle")
        later = connection.since + 1.0
        assert connection.idle_for(later) == pytest.approx(1.0)
        writer.close()

    on_uvloop(made, ConnectionLimits())


def test_a_slow_handshake_is_answered_after_the_requests_that_were_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a busy machine a hundred handshakes take longer than a stop does else."""
    monkeypatch.setattr("warouter.http.edge.DRAIN_SECONDS", 0.1)
    monkeypatch.setattr("warouter.http.edge.MOST_SECONDS", PATIENCE)

    async def late(edge: Edge, connect: Connect) -> None:
        client, failed = Slow(await connect(mute=True)), asyncio.Event()
        await soon(lambda: len(edge._connections) == 1)
        (connection,) = edge._connections._open
        await soon(lambda: connection._sock is not None and heard(connection._sock))
        leaving = asyncio.create_task(edge.leave(failed.set))
        await failed.wait()
        await client.shake_and_say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
        client.close()
        await leaving

    on_uvloop(late, ConnectionLimits())


@pytest.mark.parametrize("together", [False, True], ids=["later", "at once"])
def test_a_client_that_sends_no_more_on_uvloop(together: bool) -> None:
    async def half(edge: Edge, connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        if not together:
            await soon(lambda: edge._connections.states()["handle-request"] == 1)
        writer.write_eof()
        said = await reader.read()
        assert (said[:13], len(said) > LARGE) == (b"HTTP/1.1 200 ", True)
        await soon(lambda: not len(edge._connections))
        writer.close()

    on_uvloop(half, ConnectionLimits(), secure=False)


FEW = ConnectionLimits(connections=6, connections_per_address=4, exempt=())


def test_silent_tls_handshakes_count_for_the_limits_of_an_address_and_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warouter.net.acceptor.HANDSHAKE_SECONDS", 60.0)

    async def many(edge: Edge, connect: Connect) -> None:
        addresses = ["127.0.0.1"] * 10 + [f"127.0.0.{n}" for n in range(2, 8)]
        clients = [await connect(mute=True, local_addr=(each, 0)) for each in addresses]
        await soon(lambda: figure(edge, "web_connections") == 16)
        # 4 of the first address, one each of two others; whoever had no place is gone at once.
        assert figure(edge, "warouter_connections_refused_total") == 10
        for reader, _ in clients[4:10] + clients[12:]:
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        for _, writer in clients:
            writer.close()
        await soon(lambda: dropped(edge, "handshake") == 6)

    on_uvloop(many, FEW)


def figure(edge: Edge, name: str) -> float:
    (value,) = [s.value for s in edge.samples() if s.name == name]
    return value


async def test_a_request_that_is_being_handled_is_not_forgotten() -> None:
    running, done = asyncio.Event(), asyncio.Event()

    async def handle(_request: web.BaseRequest) -> web.Response:
        running.set()
        await done.wait()
        return web.Response()

    sock = socket.create_server(("127.0.0.1", 0))
    edge = Edge(web.Server(handle), [sock], None)
    edge.open()
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await running.wait()
    (connection,) = edge._connections._open
    assert not any(connection.is_forgotten() for _ in range(OWED_LOOKS))
    done.set()
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await edge.leave(lambda: None)


async def test_a_newcomer_gets_the_place_of_the_longest_idle_connection() -> None:
    """What a proxy keeps open and does not use is in nobody's way; what is in use stays."""
    held = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.Response:
        if request.path == "/held":
            await held.wait()
        return web.Response()

    sock = socket.create_server(("127.0.0.1", 0))
    edge = Edge(
        web.Server(handle), [sock], None, ConnectionLimits(connections=3, spare_seconds=0.0)
    )
    edge.open()

    async def asked(path: str = "/", *, answered: bool = True) -> Streams:
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        if answered:
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    async with asyncio.timeout(PATIENCE):
        busy = await asked("/held", answered=False)
        first, second = [await asked() for _ in range(2)]
        third = await asked()
        assert await first[0].read() == b""
        # So that it is the third that rests longest.
        second[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in await second[0].readuntil(b"\r\n\r\n")
        others = [await asked("/held", answered=False)]
        assert await third[0].read() == b""
        others.append(await asked("/held", answered=False))
        assert await second[0].read() == b""
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")  # nobody is idle
        held.set()
        assert b" 200 " in await busy[0].readuntil(b"\r\n\r\n")
    for _, each in (busy, second, third, first, *others, (reader, writer)):
        each.close()
    await edge.leave(lambda: None)


async def test_an_address_at_its_limit_ends_no_idle_connection() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    limits = ConnectionLimits(
        connections=1, connections_per_address=1, spare_seconds=0.0, exempt=()
    )
    edge = Edge(web.Server(answer), [sock], None, limits)
    edge.open()
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    async with asyncio.timeout(PATIENCE):
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            refused = await asyncio.open_connection(*sock.getsockname())
            assert (await refused[0].read()).startswith(b"HTTP/1.1 503 ")
            refused[1].close()
    writer.close()
    await edge.leave(lambda: None)

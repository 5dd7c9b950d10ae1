"""A client's connection, without a socket: what is read of each request."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from tests.harness.twice import Wire
from tests.harness.wait import soon
from warouter.http import server_connection
from warouter.http.door import FrontDoor
from warouter.http.framing import read_head

REQUEST = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"


class PausedWire(Wire):
    """A client's socket that counts the pauses of its reading."""

    pauses = 0

    def pause_reading(self) -> None:
        self.pauses += self.reading
        super().pause_reading()


async def echo(request: web.BaseRequest) -> web.Response:
    return web.Response(text=f"{request.path} {len(await request.read())}!")


async def asked(*requests: bytes) -> PausedWire:
    """Each is sent as soon as the one before is answered."""
    wire, door = PausedWire(), FrontDoor(web.Server(echo))
    client = door.enter("")
    assert client is not None
    client.connection_made(wire)
    await asyncio.sleep(0)
    for number, request in enumerate(requests, 1):
        for at in range(0, len(request), 65_536):
            await soon(lambda: wire.reading)
            client.data_received(request[at : at + 65_536])
        await soon(lambda number=number: client.is_idle and wire.written.count(b"!") == number)  # type: ignore[misc]
    client.force_close()
    client.connection_lost(None)
    return wire


async def test_the_same_head_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(
        server_connection, "read_head", lambda head: read.append(head) or read_head(head)
    )
    heads = [(b"/a", b"12"), (b"/a", b"34"), (b"/b", b"34"), (b"/b", b"345"), (b"/a", b"12")]
    requests = [REQUEST % (path, len(body), body) for path, body in heads]
    wire = await asked(*requests)
    answers = [line for line in wire.written.split(b"\r\n") if b"!" in line]
    bodies = b"".join(answers)
    for path, body in heads:
        assert b"%b %d!" % (path, len(body)) in bodies
    assert len(read) == 4


async def test_a_body_that_aiohttp_does_not_take_at_once_is_held_back_and_comes_whole() -> None:
    body = b"x" * 900_000
    wire = await asked(REQUEST % (b"/a", len(body), body), REQUEST % (b"/b", 2, b"12"))
    assert b"/a 900000!" in wire.written
    assert b"/b 2!" in wire.written
    assert wire.pauses > 0
    assert wire.reading

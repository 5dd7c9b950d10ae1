"""POST /v1/messages inside the webapp, without sockets: from the read to the frame, and the answer.

256 connections ask once each; the owner's ack answers them all. Divide by 256 for one request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import uvloop
from aiohttp import web

from tests.harness.offers import Registered
from tests.harness.wait import soon
from warouter._hash import SLOTS
from warouter.access.token import hash_of, new_token
from warouter.api.access.caller import Caller, Realm
from warouter.api.access.tokens import Entry, TokenCache
from warouter.api.messages import _plain
from warouter.api.messages._scan import digits_of
from warouter.api.messages.fastpath import FastPath
from warouter.api.messages.validate import parse_message
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.http.connection import Connection
from warouter.http.door import FrontDoor
from warouter.http.meter import Meter
from warouter.link import wire
from warouter.link.client import Links
from warouter.link.credential import Credential
from warouter.link.dial import CoreappConnection

ASKING = 256
KEY = b"k" * 32
BODY = b'{"to":"4915112345678","type":"text","text":{"body":"hello %b"}}' % (b"x" * 150)


NOTHING_KNOWN = _plain.Known(b"", 0, Caller("nobody", "ROLE_USER"), 0.0, Realm(1), 0)
LOG_IN = b"POST /v1/users/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"


async def log_in(_request: web.BaseRequest) -> web.Response:
    return web.json_response({"users": []})


class Sink(asyncio.Transport):
    """A socket that takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, data: Any) -> None:
        self.writes += 1

    def is_closing(self) -> bool:
        return False


class Scene:
    """A webapp's edge and its link to one owner of all slots."""

    def __init__(self) -> None:
        nothing: Any = None  # the token is in memory
        token, tokens = new_token(), TokenCache(nothing, nothing)
        caller = Caller("admin", "ROLE_ADMIN", hash_of(token))
        tokens._entries[caller.hash] = Entry(caller, float("inf"))
        owner = uuid4()
        self.links = Links(10.0, lambda: None)
        slots = tuple(SlotOwner(slot, 1, owner) for slot in range(SLOTS))
        self.links.set_map(ShardMap(1, 1, slots))
        address = SimpleNamespace(incarnation=owner)
        credential = Credential("webapp")
        self.coreapp = CoreappConnection(self.links, address, credential)  # type: ignore[arg-type]
        self.coreapp._transport = Sink()
        self.coreapp._start_session(max(wire.FRAMES), KEY, sends=0)
        self.links.on_ready(self.coreapp)
        operations = SimpleNamespace(meter=Meter(), rates=None)
        context: Any = SimpleNamespace(
            operations=operations,
            tokens=tokens,
            contacts=SimpleNamespace(required=False),
            config=SimpleNamespace(json_limit=65536, server_version=True, d360=False),
        )
        self.path = FastPath(context, self.links, Registered())
        self.request = (
            b"POST /v1/messages HTTP/1.1\r\nHost: localhost:9090\r\nAuthorization: Bearer "
            b"%b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        ) % (token.encode(), len(BODY), BODY)
        self.sockets = [Sink() for _ in range(ASKING)]
        self.connections: list[Connection] = []

    async def open(self) -> None:
        connections = FrontDoor(web.Server(log_in), None, self.path)  # type: ignore[arg-type]
        for sock in self.sockets:
            connection = connections.enter("")
            assert connection is not None
            self.connections.append(connection)
            connection.connection_made(sock)
        await asyncio.sleep(0.01)  # aiohttp's tasks wait for requests now

    async def log_in(self) -> None:
        """Each connection's first request, which is aiohttp's."""
        for connection in self.connections:
            connection.data_received(LOG_IN)
        await soon(lambda: all(connection.is_idle for connection in self.connections))

    def turn(self) -> None:
        for connection in self.connections:
            connection.data_received(self.request)
        self.coreapp._flush()
        ids = [entry.id for entry in self.links.held]
        acks = wire.parse(memoryview(wire.outcome(wire.ACKED, 31, 1, ids)))
        assert isinstance(acks, wire.Outcome)
        self.links.on_outcome(self.coreapp, acks)
        self.path._plain.write()


@pytest.mark.benchmark(group="256 requests by the fast path, without sockets")
@pytest.mark.parametrize("logs_in", [False, True], ids=["only sends", "logs in, then sends"])
@pytest.mark.parametrize("way", ["compiled", "readable"])
def test_turn(benchmark: Any, way: str, logs_in: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def timed() -> None:
        scene = Scene()
        await scene.open()
        if logs_in:
            await scene.log_in()
        if way == "readable":  # no head is ever known
            monkeypatch.setattr(_plain, "Known", lambda *_: NOTHING_KNOWN)
        scene.turn()  # its head is known from here on
        benchmark(scene.turn)
        turns = {sock.writes for sock in scene.sockets}
        assert len(turns) == 1
        assert turns.pop() > 1
        assert scene.path._meter.fast % ASKING == 0
        assert scene.path._meter.fast > ASKING

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(timed())


@pytest.mark.benchmark(group="the recipient in the JSON of a text of 150 characters")
@pytest.mark.parametrize("scan", [digits_of, parse_message], ids=["compiled", "readable"])
def test_scan(benchmark: Any, scan: Callable[[bytes], object]) -> None:
    assert benchmark(scan, BODY) is not None

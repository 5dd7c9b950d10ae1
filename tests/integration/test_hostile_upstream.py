"""S17: a hostile upstream neither ends a coreapp's connection for good nor fills its memory.

That none of its payloads breaks a callback is in tests/unit/upstream/test_checks.py, that what
nobody can read holds up nothing in test_upstream_faults.py.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterable
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.wait import soon
from warouter import _batch
from warouter._hash import slot_of
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.protocol import (
    MAX_FRAME,
    Answer,
    Claim,
    Claimed,
    Event,
    Ping,
    Pong,
    Refused,
    UpstreamHandler,
    decode_to_upstream,
    encode,
)

SENDER = "4915112345678"
SLOT = slot_of(SENDER)


class Hostile:
    """An upstream that grants every claim, and says whatever a test wants it to."""

    def __init__(self) -> None:
        self.port = 0
        self.writer: asyncio.StreamWriter | None = None
        self.claims: dict[int, int] = {}  # of the connection of now
        self.connections = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        if self.writer is not None:
            self.writer.close()

    def say(self, *messages: Any) -> None:
        assert self.writer is not None
        self.writer.write(_batch.pack([encode(message) for message in messages]))

    async def claimed(self) -> None:
        await soon(lambda: SLOT in self.claims)

    async def attack(self, raw: bytes, *, ends: bool) -> None:
        """These bytes; if the connection ``ends`` by them, until the slots are claimed anew."""
        await self.claimed()
        before = self.connections
        assert self.writer is not None
        self.writer.write(raw)
        if ends:
            await soon(lambda: self.connections > before)
            await self.claimed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writer, self.claims = writer, {}
        splitter = _batch.Splitter(MAX_FRAME)
        try:
            while data := await reader.read(65536):
                for frame in splitter.feed(data):
                    self._hear(writer, decode_to_upstream(frame))
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _hear(self, writer: asyncio.StreamWriter, message: Any) -> None:
        match message:
            case Claim(slot, epoch):
                self.claims[slot] = epoch
                writer.write(_batch.pack([encode(Claimed(slot, epoch))]))
            case Ping():
                writer.write(_batch.pack([encode(Pong())]))


@pytest_asyncio.fixture
async def hostile() -> AsyncIterator[Hostile]:
    hostile = Hostile()
    await hostile.start()
    yield hostile
    await hostile.stop()


def framed(payload: bytes) -> bytes:
    return _batch.pack([payload])


# The framing is lost: the connection begins anew.
ENDING = {
    "noise": Random(1).randbytes(5_000),
    "http": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a length of 4 GiB": struct.pack("<I", 2**32 - 1) + struct.pack(">I", 2**32 - 1),
}
# One frame that makes no sense: the next one does.
PASSED_OVER = {
    "deep": framed(b"\x91" * 200_000),
    "nil": framed(b"\xc0"),
    "unknown tag": framed(b"\x92\xa4evil\x00"),
    "a slot that is none": framed(encode(Claimed(99, 1))),
    "an epoch beyond all": framed(encode(Refused(SLOT, 1, 2**63 - 1))),
    "no id": framed(encode(Answer(SLOT, "no id of ours"))),
    "an unknown kind": framed(encode(Event(SLOT, 1, "evil", "k:x", SENDER, b"{}"))),
    "a wait of years": framed(encode(Answer(SLOT, "x" * 27, 429, "t", "d", 2**60))),
}


def inbound(number: int, body: str) -> Event:
    payload = (
        b'{"from":"%b","id":"in-%d","timestamp":"1670394125","type":"text","text":{"body":"%b"}}'
        % (SENDER.encode(), number, body.encode())
    )
    contact = b'{"profile":{"name":"x"},"wa_id":"%b"}' % SENDER.encode()
    return Event(SLOT, number, "inbound", f"in-{number}", SENDER, payload, contact)


class Coreapp(UpstreamHandler):
    """What a coreapp is to its client; it is full when the test says so."""

    def __init__(self, port: int) -> None:
        self.full = False
        self.heard = 0
        self.events: set[int] = set()
        self.downs = 0
        self.client = SimulatorUpstream("127.0.0.1", port, "node", "a")

    def may_send(self) -> bool:
        return True

    def congested(self) -> bool:
        return self.full

    def on_upstream(self, heard: Iterable[Any]) -> None:
        for message in heard:
            self.heard += 1
            if isinstance(message, Event):
                self.events.add(message.number)

    def on_upstream_up(self) -> None:
        self.client.tell(Claim(SLOT, 1))

    def on_upstream_down(self) -> None:
        self.downs += 1


@pytest_asyncio.fixture
async def listener(hostile: Hostile) -> AsyncIterator[UpstreamHandler]:
    """Connected to the hostile upstream."""
    listener = Coreapp(hostile.port)
    task = asyncio.create_task(listener.client.run(listener))
    await hostile.claimed()
    yield listener
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    listener.client.abort()


async def test_s17_a_hostile_upstream(hostile: Hostile, listener: Coreapp) -> None:
    for raw in ENDING.values():
        await hostile.attack(raw, ends=True)
    connections = hostile.connections
    for number, raw in enumerate(PASSED_OVER.values(), 200):
        await hostile.attack(raw, ends=False)
        hostile.say(inbound(number, "good"))
        await soon(lambda number=number: number in listener.events)
    # A largest frame is still one event.
    hostile.say(inbound(101, "x" * (MAX_FRAME - 2_000)))
    await soon(lambda: 101 in listener.events)
    assert hostile.connections == connections
    assert listener.client.connected


async def test_s17_a_flood_waits_outside(hostile: Hostile, listener: Coreapp) -> None:
    await soon(lambda: listener.heard >= 1)
    listener.full = True
    flood = inbound(1, "x" * 100_000)
    for _ in range(300):
        hostile.say(flood)
    # It reads what was on its way, then no more: the rest waits with whoever sent it.
    assert hostile.writer is not None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.5):
            await hostile.writer.drain()
    assert listener.heard < 100
    assert hostile.writer.transport.get_write_buffer_size() > 10_000_000
    # Longer than an upstream may be silent: that is not its fault.
    assert listener.client.well
    assert listener.downs == 0
    listener.full = False
    await soon(lambda: listener.heard >= 300)

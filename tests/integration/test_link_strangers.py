"""The link's port towards those who do not know its key: little memory, few places, little time."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.harness.wait import PATIENCE, soon
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.errors import NotReady
from warouter.link import listen as server
from warouter.link import wire
from warouter.link.address import Address
from warouter.link.client import Links
from warouter.link.listen import LinkServer, WebappConnection
from warouter.link.strangers import Strangers
from warouter.tls import link as tls

KEY, OWNER = b"k" * 32, uuid4()
MESSAGE = wire.Outgoing(5, bytes((1, 5)) + bytes(18), "4915112345678", 0, b"{}")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Owner:
    """A coreapp's link server that takes every message."""

    def __init__(self) -> None:
        self.server = LinkServer(KEY, self)
        self.port = 0
        self.fingerprint: str | None = None
        self._strangers: list[Streams] = []

    async def start(self, *, secure: bool = False) -> None:
        context: ssl.SSLContext | None = None
        if secure:
            context, self.fingerprint = tls.server_context("core.example")
        self.port = await self.server.start("127.0.0.1", 0, context)

    async def stranger(self, address: str = "127.0.0.1") -> Streams:
        """Connected, and silent."""
        streams = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        self._strangers.append(streams)
        return streams

    async def close(self) -> None:
        for _, writer in self._strangers:
            writer.transport.abort()
        await self.server.stop()
        await asyncio.sleep(0)

    def on_message(self, webapp: WebappConnection, m: wire.Message) -> None:
        webapp.send(wire.outcome(wire.ACKED, m.slot, m.epoch, [m.id]))


@pytest_asyncio.fixture
async def owner() -> AsyncIterator[Owner]:
    owner = Owner()
    yield owner
    await owner.close()


@contextlib.asynccontextmanager
async def webapp(owner: Owner, hold: float) -> AsyncIterator[Links]:
    links = Links(hold=hold, on_doubt=lambda: None)
    sweeper = asyncio.create_task(links.sweep())
    links.set_map(ShardMap(1, 1, tuple(SlotOwner(n, 7, OWNER) for n in range(32))))
    address = Address(OWNER, "coreapp-1", "127.0.0.1", owner.port, KEY, owner.fingerprint)
    links.set_addresses({OWNER: address})
    try:
        yield links
    finally:
        sweeper.cancel()
        await links.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What is said until the connection ends."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
        return b""


async def test_a_stranger_makes_nothing_be_kept(owner: Owner) -> None:
    """What it announces is refused before it comes; else 40 of them would hold 320 MiB."""
    await owner.start()
    reader, writer = await owner.stranger()
    await reader.readexactly(4 + wire.HELLO_SIZE)
    writer.write((wire.MAX_ENVELOPE - 1).to_bytes(4, "little"))
    with contextlib.suppress(ConnectionError):
        for _ in range(wire.MAX_ENVELOPE >> 16):
            writer.write(bytes(1 << 16))
            await writer.drain()
        pytest.fail("all of it was taken")


async def test_a_proved_link_takes_large_envelopes(owner: Owner) -> None:
    await owner.start()
    large = wire.Outgoing(5, MESSAGE.id, MESSAGE.recipient, 0, bytes(60_000))
    async with webapp(owner, 20.0) as links:
        await links.submit(large)


def refuse_who_comes(self: Strangers[object], stranger: object, address: str) -> object:
    """A mutant: places are kept by who has them."""
    if len(self._waiting) >= self._places:
        return stranger
    self._waiting[stranger] = address
    return None


@pytest.mark.parametrize("mutant", [False, True], ids=["product", "mutant"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_silent_strangers_keep_no_webapp_out(
    owner: Owner, secure: bool, mutant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mutant:
        monkeypatch.setattr(Strangers, "enter", refuse_who_comes)
    await owner.start(secure=secure)
    strangers = [await owner.stranger() for _ in range(300)]
    async with webapp(owner, 0.5 if mutant else 4.0) as links:
        if mutant:
            with pytest.raises(NotReady):
                await links.submit(MESSAGE)
        else:
            await links.submit(MESSAGE)
            assert owner.server.webapps == 1
            assert len(owner.server._strangers) <= server.MAX_STRANGERS
            for reader, _ in strangers[: -server.MAX_STRANGERS]:  # those before gave way
                await ended(reader)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_handshake_and_proof_have_one_limit(
    owner: Owner, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PROOF_SECONDS", 0.5)
    await owner.start(secure=secure)
    reader, _ = await owner.stranger()
    assert len(await ended(reader)) == (0 if secure else 4 + wire.HELLO_SIZE)
    await soon(lambda: len(owner.server._strangers) == 0)
    async with webapp(owner, 20.0) as links:
        await links.submit(MESSAGE)
        await asyncio.sleep(1.0)  # it has proved itself: the limit is not its any more
        assert owner.server.webapps == links.connected == 1


async def test_links_beyond_the_most_are_closed(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_WEBAPPS", 1)
    await owner.start()
    async with webapp(owner, 20.0) as first:
        await first.submit(MESSAGE)
        async with webapp(owner, 0.5) as second:
            with pytest.raises(NotReady):
                await second.submit(MESSAGE)
        assert owner.server.webapps == first.connected == 1


async def test_strangers_do_not_fill_the_log(
    owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    await owner.start()
    for _ in range(20):
        reader, writer = await owner.stranger()
        writer.write(bytes(wire.HANDSHAKE_SIZE + 4))
        await ended(reader)
    assert [record.message for record in caplog.records] == ["link handshake failed"]
    owner.server._say_at = 0.0  # a minute later
    reader, writer = await owner.stranger()
    writer.write(bytes(wire.HANDSHAKE_SIZE + 4))
    await ended(reader)
    assert [record.times for record in caplog.records] == [1, 20]

"""The link's port towards those who do not know its key: little memory, few places, little time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness import linked
from tests.harness.linked import OWNER, Coreapp, outgoing, owned_by
from tests.harness.wait import PATIENCE, soon
from warouter.errors import NotReady
from warouter.link import listen as server
from warouter.link import wire
from warouter.link.client import Links
from warouter.link.strangers import Strangers

MESSAGE = outgoing()
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Owner(Coreapp):
    """It takes every message, and keeps those who come without a key."""

    def __init__(self) -> None:
        super().__init__()
        self._strangers: list[Streams] = []

    async def stranger(self) -> Streams:
        """Connected, and silent."""
        self._strangers.append(await asyncio.open_connection("127.0.0.1", self.port))
        return self._strangers[-1]

    async def stop(self) -> None:
        for _, writer in self._strangers:
            writer.transport.abort()
        await super().stop()
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def owner() -> AsyncIterator[Owner]:
    owner = Owner()
    yield owner
    await owner.stop()


@contextlib.asynccontextmanager
async def webapp(owner: Owner, hold: float) -> AsyncIterator[Links]:
    async with linked.webapp(hold, owner.rows) as links:
        links.set_map(owned_by(OWNER))
        links.set_addresses(owner.known)
        yield links


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
    await owner.start(host="core.example" if secure else "")
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
    await owner.start(host="core.example" if secure else "")
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

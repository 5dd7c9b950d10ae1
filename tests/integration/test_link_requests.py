"""A ttl and a key on the link: carried, answered, and never lost on the way to an older build."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from tests.harness.wait import soon
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.errors import KeyTaken, NotReady
from warouter.link import listen as server
from warouter.link import wire
from warouter.link.address import Address
from warouter.link.client import Links
from warouter.link.listen import LinkServer, WebappConnection
from warouter.link.relay import Relay

OWNER, OTHER = uuid4(), uuid4()
ID, FIRST = bytes((1, 5)) + bytes(18), bytes((1, 5)) + b"f" * 18
KEY = wire.Key(b"n" * 32, b"r" * 32)
PLAIN = wire.Outgoing(5, ID, "4915112345678", 0, b"{}")
TIMED = wire.Outgoing(5, ID, "4915112345678", 0, b"{}", 60)
KEYED = wire.Outgoing(5, ID, "4915112345678", 0, b"{}", 60, KEY)


class Coreapp:
    """Answers with ``answer``, and relays; ``highest`` is the link version of its build."""

    def __init__(self, known: dict[UUID, Address], highest: int) -> None:
        self.key = uuid4().bytes * 2
        self.answer, self.ids = wire.ACKED, [ID]
        self.came: asyncio.Queue[wire.Message] = asyncio.Queue()
        self._known = known
        self.relay = Relay(self._find)
        self.server = LinkServer(self.key, self, self.relay)
        self.highest = highest

    async def start(self, incarnation: UUID) -> Address:
        port = await self.server.start("127.0.0.1", 0)
        address = Address(incarnation, "c", "127.0.0.1", port, self.key, None)
        self._known[incarnation] = address
        return address

    async def _find(self, incarnation: UUID) -> Address | None:
        return self._known.get(incarnation)

    def on_message(self, webapp: WebappConnection, message: wire.Message) -> None:
        self.came.put_nowait(message)
        webapp.send(webapp.frames.outcome(self.answer, message.slot, message.epoch, self.ids))


class World:
    def __init__(self, highest: int = 2) -> None:
        known: dict[UUID, Address] = {}
        self.owner, self.other = Coreapp(known, highest), Coreapp(known, 2)
        self.links = Links(hold=8.0, on_doubt=lambda: None)

    async def start(self, stack: AsyncExitStack, *, straight: bool) -> None:
        """The webapp has a link to the owner only if ``straight``, else to the other coreapp."""
        addresses = {OWNER: await self.owner.start(OWNER), OTHER: await self.other.start(OTHER)}
        for coreapp in (self.owner, self.other):
            stack.push_async_callback(coreapp.server.stop)
            stack.push_async_callback(coreapp.relay.close)
        if not straight:
            addresses[OWNER] = addresses[OWNER]._replace(port=1)  # nobody listens there
        self.links.set_addresses(addresses)
        self.links.set_map(ShardMap(1, 1, tuple(SlotOwner(n, 7, OWNER) for n in range(32))))
        sweeper = asyncio.create_task(self.links.sweep())
        stack.push_async_callback(self.links.close)
        stack.callback(sweeper.cancel)
        await soon(lambda: self.links.connected == 1 + straight)


@pytest_asyncio.fixture(params=[True, False], ids=["straight", "relayed"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        world = World()
        await world.start(stack, straight=request.param)
        yield world


@pytest_asyncio.fixture(params=[True, False], ids=["straight", "relayed"])
async def older(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """The owner is of a build that speaks link version 1 only."""
    world = World(highest=1)

    class Connection(WebappConnection):
        def __init__(self, of: LinkServer) -> None:
            super().__init__(of)
            if of is world.owner.server:
                self._hello = bytes((1, 1)) + self._hello[2:]

    monkeypatch.setattr(server, "WebappConnection", Connection)
    async with AsyncExitStack() as stack:
        await world.start(stack, straight=request.param)
        yield world


async def test_a_ttl_and_a_key_arrive(world: World) -> None:
    for message in (PLAIN, TIMED, KEYED):
        assert await world.links.submit(message) == ID
        came = await world.owner.came.get()
        assert (came.ttl, came.key, bytes(came.body)) == (message.ttl, message.key, b"{}")


async def test_a_request_that_came_before_is_answered_with_its_first_id(world: World) -> None:
    world.owner.answer, world.owner.ids = wire.ALREADY, [ID, FIRST]
    assert await world.links.submit(KEYED) == FIRST
    assert world.links.pending == 0


async def test_a_key_of_another_request_is_a_conflict(world: World) -> None:
    world.owner.answer = wire.CLASHED
    with pytest.raises(KeyTaken):
        await world.links.submit(KEYED)


@pytest.mark.parametrize("message", [TIMED, KEYED], ids=["ttl", "key"])
async def test_to_an_older_owner_nothing_goes_without_its_ttl_or_key(
    older: World, message: wire.Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held, for a newer build may own the slot in a moment, and then refused with 503."""
    monkeypatch.setattr(older.links, "_hold", 1.0)
    with pytest.raises(NotReady):
        await older.links.submit(message)
    assert older.owner.came.empty()
    monkeypatch.undo()
    assert await older.links.submit(PLAIN) == ID
    assert (await older.owner.came.get()).ttl is None


async def test_what_is_held_goes_to_the_newer_owner_that_comes(older: World) -> None:
    call = asyncio.ensure_future(older.links.submit(KEYED))
    await asyncio.sleep(0)
    assert older.links.pending == 1
    older.links.set_map(ShardMap(2, 1, tuple(SlotOwner(n, 8, OTHER) for n in range(32))))
    assert await call == ID
    assert (await older.other.came.get()).key == KEY
    assert older.owner.came.empty()

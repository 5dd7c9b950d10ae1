"""A ttl and a key on the link: carried, answered, and never lost on the way to an older build."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest
import pytest_asyncio

from tests.harness.linked import OTHER, OWNER, Coreapp, an_id, outgoing, owned_by, webapp
from tests.harness.wait import soon
from warouter.errors import KeyTaken, NotReady
from warouter.link import listen as server
from warouter.link import wire
from warouter.link.address import LinkAddress
from warouter.link.client import Links
from warouter.link.listen import LinkServer, WebappConnection

ID, FIRST = an_id(), an_id(1)
KEY = wire.IdempotencyKey(b"n" * 32, b"r" * 32)
PLAIN, TIMED, KEYED = outgoing(), outgoing(0, b"{}", 60), outgoing(0, b"{}", 60, KEY)


class World:
    """The webapp has a link to the owner only if ``straight``, else to the other coreapp."""

    links: Links

    def __init__(self) -> None:
        known: dict[UUID, LinkAddress] = {}
        self.owner, self.other = Coreapp(known), Coreapp(known)

    async def start(self, stack: AsyncExitStack, *, straight: bool) -> None:
        addresses = {OWNER: await self.owner.start(OWNER), OTHER: await self.other.start(OTHER)}
        for coreapp in (self.owner, self.other):
            stack.push_async_callback(coreapp.stop)
        if not straight:
            addresses[OWNER] = addresses[OWNER]._replace(port=1)  # nobody listens there
        self.links = await stack.enter_async_context(webapp())
        self.links.set_addresses(addresses)
        self.links.set_map(owned_by(OWNER))
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
    world = World()

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
    monkeypatch.setattr(older.links, "hold", 1.0)
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
    older.links.set_map(owned_by(OTHER, 8))
    assert await call == ID
    assert (await older.other.came.get()).key == KEY
    assert older.owner.came.empty()

"""A ttl and a key on the link: carried and answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest
import pytest_asyncio

from tests.harness.linked import OTHER, OWNER, Coreapp, an_id, outgoing, owned_by, webapp
from tests.harness.wait import soon
from warouter.errors import KeyTaken
from warouter.link import wire
from warouter.link.address import LinkAddress
from warouter.link.client import Links

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

"""An owner that the webapp does not reach is reached through another coreapp. Real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest
import pytest_asyncio

from tests.harness.linked import (
    OTHER,
    OWNER,
    SILENT,
    THIRD,
    Coreapp,
    an_id,
    cancelled,
    fields,
    owned_by,
    submit,
    webapp,
)
from tests.harness.proxy import Proxy
from tests.harness.wait import soon
from warouter.errors import NotReady
from warouter.link import detour, relay, wire
from warouter.link.address import LinkAddress
from warouter.link.client import Links
from warouter.link.connection import SILENT_SECONDS


class World:
    """Three coreapps and a webapp; the webapp's link to OWNER goes through ``proxy``."""

    def __init__(self, links: Links) -> None:
        known: dict[UUID, LinkAddress] = {}
        self.owner, self.other, self.third = (Coreapp(known) for _ in range(3))
        self.links = links
        self.proxy = Proxy(lambda: ("127.0.0.1", self.owner.port))

    def map(self, owner: UUID = OWNER, epoch: int = 7) -> None:
        self.links.set_map(owned_by(owner, epoch))

    def submit(self, number: int = 0) -> asyncio.Task[bytes]:
        return submit(self.links, number)

    @property
    def relayed(self) -> int:
        return self.other.relay.relayed + self.third.relay.relayed

    async def linked(self, count: int) -> float:
        """Until the webapp has so many links; how long it took."""
        began = time.monotonic()
        await soon(lambda: self.links.connected == count)
        return time.monotonic() - began


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        world = World(await stack.enter_async_context(webapp()))
        named = {OWNER: world.owner, OTHER: world.other, THIRD: world.third}
        addresses: dict[UUID, LinkAddress] = {}
        for incarnation, coreapp in named.items():
            addresses[incarnation] = await coreapp.start(incarnation)
            stack.push_async_callback(coreapp.stop)
        await stack.enter_async_context(world.proxy)
        addresses[OWNER] = addresses[OWNER]._replace(port=world.proxy.port)
        world.links.set_addresses(addresses)
        world.map()
        await world.linked(3)
        yield world


@pytest_asyncio.fixture
async def cut(world: World) -> World:
    """The webapp has given its link to OWNER up."""
    world.proxy.cut()
    await world.linked(2)
    return world


async def test_a_silently_cut_owner_is_reached_through_another_coreapp(world: World) -> None:
    world.proxy.cut()
    began = time.monotonic()
    call = world.submit()
    assert await world.linked(2) < SILENT_SECONDS + 3.0
    await call
    assert time.monotonic() - began < SILENT_SECONDS + 4.0
    message = await world.owner.came.get()
    assert fields(message) == (5, 7, an_id(), 0, "4915112345678", b"{}", None, None, 1)
    assert world.links.unreached() == [OWNER]
    assert world.other.came.empty()
    assert world.third.came.empty()
    # From now on nothing waits: neither for a silence nor for an address.
    began = time.monotonic()
    await asyncio.gather(*(world.submit(n) for n in range(1, 100)))
    assert time.monotonic() - began < SILENT_SECONDS
    assert world.owner.came.qsize() == 99
    assert world.other.lookups + world.third.lookups == 1
    assert world.other.relay.waiting == world.other.relay.waiting_bytes == 0


async def test_when_the_link_is_back_messages_go_straight(cut: World) -> None:
    await cut.submit()
    cut.proxy.heal()
    await cut.linked(3)
    relayed = cut.relayed
    assert relayed == 1
    await cut.submit(1)
    assert cut.relayed == relayed
    assert cut.links.unreached() == []


async def test_the_answers_of_the_owner_come_back_as_they_are(cut: World) -> None:
    cut.owner.answer = wire.NOT_OWNER
    call = cut.submit()
    assert (await cut.owner.came.get()).epoch == 7
    assert cut.owner.relay.relayed == 0  # it knows another coreapp, and relays nothing again
    cut.owner.answer = wire.ACKED
    cut.map(epoch=8)  # the owner has renewed: the same id under the new epoch
    await call
    again = await cut.owner.came.get()
    assert (again.id, again.epoch) == (an_id(), 8)


async def test_when_no_coreapp_reaches_the_owner_the_message_waits_for_the_next(cut: World) -> None:
    await cut.owner.server.stop()
    cut.owner.server._server = None
    call = cut.submit()
    # Both are tried at once, and say at once that they do not reach it.
    await soon(lambda: cut.relayed >= 2)
    assert not call.done()
    cut.map(OTHER, 8)
    await call
    assert (await cut.other.came.get()).epoch == 8


async def test_an_owner_that_nobody_knows_is_not_looked_up_for_every_message(
    cut: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detour, "BARREN_SECONDS", 60.0)
    del cut.owner.known[OWNER]
    calls = [cut.submit(n) for n in range(50)]
    await soon(lambda: cut.other.lookups == cut.third.lookups == 1)
    await asyncio.sleep(0.3)
    assert cut.other.lookups == cut.third.lookups == 1
    await cancelled(calls)


async def test_a_coreapp_that_dies_while_it_relays_is_replaced(cut: World) -> None:
    cut.owner.answer = SILENT  # says nothing yet
    call = cut.submit()
    await cut.owner.came.get()
    cut.owner.answer = wire.ACKED
    relaying = cut.other if cut.other.relay.waiting else cut.third
    relaying.cut_off()
    await call
    assert (await cut.owner.came.get()).id == an_id()


async def test_relayed_messages_are_bounded(cut: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "MAX_WAITING", 3)
    cut.owner.answer = SILENT
    calls = [cut.submit(n) for n in range(20)]
    await soon(lambda: cut.other.relay.waiting == cut.third.relay.waiting == 3)
    await asyncio.sleep(0.3)
    assert cut.other.relay.waiting == cut.third.relay.waiting == 3
    await cancelled(calls)


async def test_a_passage_that_is_not_used_is_closed(
    cut: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "IDLE_SECONDS", 0.1)
    await cut.submit()
    await soon(lambda: not cut.other.relay._passages and not cut.third.relay._passages)
    await soon(lambda: cut.owner.server.webapps <= 1)
    await cut.submit(1)


@pytest.mark.parametrize("right", [True, False], ids=["pinned", "another certificate"])
async def test_a_relay_between_hosts_is_pinned_to_the_certificate(right: bool) -> None:
    known: dict[UUID, LinkAddress] = {}
    owner = Coreapp(known)
    other = Coreapp(known, owner.rows)
    address = await owner.start(OWNER, "core.example")
    if not right:
        known[OWNER] = address._replace(fingerprint="0" * 64)
    nowhere = address._replace(port=1, fingerprint=None)
    async with webapp(hold=8.0 if right else 1.5) as links:
        links.set_addresses({OWNER: nowhere, OTHER: await other.start(OTHER)})
        links.set_map(owned_by(OWNER))
        if right:
            await submit(links)
        else:
            with pytest.raises(NotReady):
                await submit(links)
    assert owner.came.empty() != right
    await other.stop()
    await owner.stop()


async def test_a_peer_that_answers_nothing_but_is_there_keeps_its_link(world: World) -> None:
    """A commit may take long: the link is cut for a silent peer, not for a slow one."""
    world.owner.answer = SILENT
    call = world.submit()
    message = await world.owner.came.get()
    done, _ = await asyncio.wait({call}, timeout=SILENT_SECONDS * 2)
    assert not done
    assert world.links.connected == 3
    world.owner.webapp.send(wire.outcome(wire.ACKED, 5, 7, [message.id]))
    await call
    assert world.owner.came.empty()

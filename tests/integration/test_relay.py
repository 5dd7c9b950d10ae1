"""An owner that the webapp does not reach is reached through another coreapp. Real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from tests.harness.proxy import Proxy
from tests.harness.wait import soon
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.errors import NotReady
from warouter.link import detour, relay, wire
from warouter.link.address import Address
from warouter.link.client import Links
from warouter.link.connection import SILENT_SECONDS
from warouter.link.listen import LinkServer, WebappConnection
from warouter.link.relay import Relay
from warouter.tls import link as tls

OWNER, OTHER, THIRD = (uuid4() for _ in range(3))
BODY = b'{"to":"1"}'


class Coreapp:
    """A coreapp's end of the link: answers as it is told, relays to whom ``known`` has."""

    def __init__(self, known: dict[UUID, Address]) -> None:
        self.key = uuid4().bytes * 2
        self.answer = wire.ACKED
        self.came: asyncio.Queue[wire.Message] = asyncio.Queue()
        self.lookups = 0
        self._known = known
        self.relay = Relay(self._find)
        self.server = LinkServer(self.key, self, self.relay)
        self.port = 0

    async def start(self, incarnation: UUID, host: str = "") -> Address:
        """Listen, in TLS if there is a ``host``."""
        context, fingerprint = tls.server_context(host) if host else (None, None)
        self.port = await self.server.start("127.0.0.1", 0, context)
        address = Address(incarnation, "c", "127.0.0.1", self.port, self.key, fingerprint)
        self._known[incarnation] = address
        return address

    async def stop(self) -> None:
        await self.relay.close()
        await self.server.stop()

    async def _find(self, incarnation: UUID) -> Address | None:
        self.lookups += 1
        return self._known.get(incarnation)

    def on_message(self, webapp: WebappConnection, message: wire.Message) -> None:
        self.came.put_nowait(message)
        if self.answer >= 0:
            webapp.send(wire.outcome(self.answer, message.slot, message.epoch, [message.id]))


class World:
    """Three coreapps and a webapp; the webapp's link to OWNER goes through ``proxy``."""

    def __init__(self) -> None:
        self.known: dict[UUID, Address] = {}
        self.owner, self.other, self.third = (Coreapp(self.known) for _ in range(3))
        self.links = Links(hold=8.0, on_doubt=lambda: None)
        self.proxy = Proxy(lambda: ("127.0.0.1", self.owner.port))

    def map(self, owner: UUID = OWNER, epoch: int = 7) -> None:
        slots = tuple(SlotOwner(n, epoch, owner) for n in range(32))
        self.links.set_map(ShardMap(epoch, 1, slots))

    def submit(self, number: int = 0) -> asyncio.Task[bytes]:
        call = self.links.submit(
            wire.Outgoing(5, bytes((1, 5, number)) + bytes(17), "4915112345678", 0, BODY)
        )
        return asyncio.ensure_future(call)

    async def linked(self, count: int) -> float:
        """Until the webapp has so many links; how long it took."""
        began = time.monotonic()
        await soon(lambda: self.links.connected == count)
        return time.monotonic() - began


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    async with AsyncExitStack() as stack:
        addresses: dict[UUID, Address] = {}
        named = {OWNER: world.owner, OTHER: world.other, THIRD: world.third}
        for incarnation, coreapp in named.items():
            addresses[incarnation] = await coreapp.start(incarnation)
            stack.push_async_callback(coreapp.stop)
        await stack.enter_async_context(world.proxy)
        addresses[OWNER] = addresses[OWNER]._replace(port=world.proxy.port)
        world.links.set_addresses(addresses)
        world.map()
        sweeper = asyncio.create_task(world.links.sweep())
        stack.push_async_callback(world.links.close)
        await world.linked(3)
        yield world
        sweeper.cancel()


async def test_a_silently_cut_owner_is_reached_through_another_coreapp(world: World) -> None:
    world.proxy.cut()
    began = time.monotonic()
    call = world.submit()
    assert await world.linked(2) < SILENT_SECONDS + 3.0
    await call
    assert time.monotonic() - began < SILENT_SECONDS + 4.0
    message = await world.owner.came.get()
    assert message == wire.Message(
        5, 7, bytes((1, 5)) + bytes(18), 0, "4915112345678", memoryview(BODY)
    )
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


async def test_when_the_link_is_back_messages_go_straight(world: World) -> None:
    world.proxy.cut()
    await world.linked(2)
    await world.submit()
    world.proxy.heal()
    await world.linked(3)
    relayed = world.other.relay.relayed + world.third.relay.relayed
    assert relayed == 1
    await world.submit(1)
    assert world.other.relay.relayed + world.third.relay.relayed == relayed
    assert world.links.unreached() == []


async def test_the_answers_of_the_owner_come_back_as_they_are(world: World) -> None:
    world.proxy.cut()
    await world.linked(2)
    world.owner.answer = wire.NOT_OWNER
    call = world.submit()
    assert (await world.owner.came.get()).epoch == 7
    world.owner.answer = wire.ACKED
    world.map(epoch=8)  # the owner has renewed: the same id under the new epoch
    await call
    again = await world.owner.came.get()
    assert (again.id, again.epoch) == (bytes((1, 5)) + bytes(18), 8)


async def test_nobody_relays_what_was_relayed(world: World) -> None:
    """Who is not the owner says so; it knows another coreapp and does not use it."""
    world.owner.answer = wire.NOT_OWNER
    world.proxy.cut()
    await world.linked(2)
    call = world.submit()
    await world.owner.came.get()
    assert world.owner.relay.relayed == 0
    call.cancel()


async def test_when_no_coreapp_reaches_the_owner_the_message_waits_for_the_next(
    world: World,
) -> None:
    await world.owner.server.stop()
    world.owner.server._server = None
    world.proxy.cut()
    await world.linked(2)
    call = world.submit()
    # Both are tried at once, and say at once that they do not reach it.
    await soon(lambda: world.other.relay.relayed + world.third.relay.relayed >= 2)
    assert not call.done()
    world.map(OTHER, 8)
    await call
    assert (await world.other.came.get()).epoch == 8


async def test_an_owner_that_nobody_knows_is_not_looked_up_for_every_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detour, "BARREN_SECONDS", 60.0)
    world.proxy.cut()
    await world.linked(2)
    del world.known[OWNER]
    calls = [world.submit(n) for n in range(50)]
    await soon(lambda: world.other.lookups == world.third.lookups == 1)
    await asyncio.sleep(0.3)
    assert world.other.lookups == world.third.lookups == 1
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_coreapp_that_dies_while_it_relays_is_replaced(world: World) -> None:
    world.owner.answer = -1  # says nothing yet
    world.proxy.cut()
    await world.linked(2)
    call = world.submit()
    await world.owner.came.get()
    world.owner.answer = wire.ACKED
    relaying = world.other if world.other.relay.waiting else world.third
    for connection in list(relaying.server._connections):
        connection.abort()
    await call
    assert (await world.owner.came.get()).id == bytes((1, 5)) + bytes(18)


async def test_what_is_relayed_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "MAX_WAITING", 3)
    world.owner.answer = -1
    world.proxy.cut()
    await world.linked(2)
    calls = [world.submit(n) for n in range(20)]
    await soon(lambda: world.other.relay.waiting == world.third.relay.waiting == 3)
    await asyncio.sleep(0.3)
    assert world.other.relay.waiting == world.third.relay.waiting == 3
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_passage_that_is_not_used_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "IDLE_SECONDS", 0.1)
    world.proxy.cut()
    await world.linked(2)
    await world.submit()
    await soon(lambda: not world.other.relay._passages and not world.third.relay._passages)
    await soon(lambda: world.owner.server.webapps <= 1)
    await world.submit(1)


@pytest.mark.parametrize("right", [True, False], ids=["pinned", "another certificate"])
async def test_a_relay_between_hosts_is_pinned_to_the_certificate(right: bool) -> None:
    known: dict[UUID, Address] = {}
    owner, other = Coreapp(known), Coreapp(known)
    address = await owner.start(OWNER, "core.example")
    if not right:
        known[OWNER] = address._replace(fingerprint="0" * 64)
    links = Links(hold=8.0 if right else 1.5, on_doubt=lambda: None)
    sweeper = asyncio.create_task(links.sweep())
    nowhere = address._replace(port=1, fingerprint=None)
    links.set_addresses({OWNER: nowhere, OTHER: await other.start(OTHER)})
    links.set_map(ShardMap(1, 1, tuple(SlotOwner(n, 7, OWNER) for n in range(32))))
    call = links.submit(wire.Outgoing(5, bytes((1, 5)) + bytes(18), "4915112345678", 0, BODY))
    if right:
        await call
    else:
        with pytest.raises(NotReady):
            await call
    assert owner.came.empty() != right
    sweeper.cancel()
    await links.close()
    await other.stop()
    await owner.stop()


async def test_a_peer_that_answers_nothing_but_is_there_keeps_its_link(world: World) -> None:
    """A commit may take long: the link is cut for a silent peer, not for a slow one."""
    world.owner.answer = -1
    call = world.submit()
    message = await world.owner.came.get()
    done, _ = await asyncio.wait({call}, timeout=SILENT_SECONDS * 2)
    assert not done
    assert world.links.connected == 3
    for connection in world.owner.server._connections:
        connection.send(wire.outcome(wire.ACKED, 5, 7, [message.id]))
    await call
    assert world.owner.came.empty()

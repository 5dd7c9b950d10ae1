"""An upstream that is frozen or silently cut off is noticed, though its socket stays open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest_asyncio
from msgspec import structs

from tests.harness.proxy import Proxy
from tests.harness.simulator import Owner, World, running
from tests.harness.wait import soon
from warouter.lab.simulator.control import Addresses
from warouter.lab.simulator.faults import Faults
from warouter.upstream import client
from warouter.upstream.protocol import Claim


class Coreapp(Owner):
    """``sends`` is as the test sets it."""

    def __init__(self, addresses: Addresses) -> None:
        self.sends = True
        self.ups = 0
        self.lost_connected = True  # as the upstream was lost: a moment later it dials again
        super().__init__(addresses, "a")

    def may_send(self) -> bool:
        return self.sends

    def on_upstream_up(self) -> None:
        self.ups += 1

    def on_upstream_down(self) -> None:
        if not self.client.well:
            self.lost_connected = self.client.connected
            self.down.set()

    @property
    def heard_nothing(self) -> bool:
        return self._heard.empty()

    async def until(self, well: bool) -> float:
        """How long it took until the upstream was well, or no more."""
        began = time.monotonic()
        await soon(lambda: self.client.well == well)
        return time.monotonic() - began


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


@pytest_asyncio.fixture
async def proxy(world: World) -> AsyncIterator[Proxy]:
    async with Proxy(lambda: (world.addresses.host, world.addresses.port)) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def coreapp(world: World, proxy: Proxy) -> AsyncIterator[Coreapp]:
    coreapp = Coreapp(structs.replace(world.addresses, port=proxy.port))
    coreapp.client._unheard = client.LOST_SECONDS  # known only once it was heard
    await coreapp.until(well=True)
    yield coreapp
    await coreapp.stop()


async def test_a_silent_cut_is_noticed_in_time_and_healed(coreapp: Coreapp, proxy: Proxy) -> None:
    proxy.cut()
    took = await coreapp.until(well=False)
    assert client.LOST_SECONDS - client.QUIET_SECONDS - 0.2 < took < client.LOST_SECONDS + 3.0
    assert coreapp.down.is_set()
    assert not coreapp.lost_connected
    proxy.heal()
    await coreapp.until(well=True)


async def test_a_quiet_upstream_that_answers_is_well(coreapp: Coreapp, world: World) -> None:
    """Also while it takes nothing and limits what it takes."""
    world.simulator.use(Faults(pause=True, rate=1.0))
    quietest = 0.0
    for _ in range(30):
        await asyncio.sleep(0.1)
        quietest = max(quietest, coreapp.client._unheard)
    assert quietest < 1.0
    assert (coreapp.ups, coreapp.heard_nothing) == (1, True)


async def test_without_a_lease_the_connection_stands_and_nothing_else_leaves(
    coreapp: Coreapp,
) -> None:
    coreapp.sends = False
    await asyncio.sleep(1.0)
    assert (coreapp.client.connected, coreapp.ups) == (True, 1)
    coreapp.client.tell(Claim(0, 1))
    await asyncio.sleep(0)
    assert not coreapp.client.connected
    await soon(lambda: coreapp.ups == 2)
    assert coreapp.heard_nothing
    assert coreapp.client.well

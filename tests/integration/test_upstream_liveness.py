"""An upstream that is frozen or silently cut off is noticed, though its socket stays open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.harness.proxy import Proxy
from tests.harness.wait import soon
from warouter.simulator.faults import Faults
from warouter.simulator.server import Simulator
from warouter.upstream import client
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.protocol import Claim


class Coreapp:
    """A listener that counts; ``sends`` is as the test sets it."""

    def __init__(self, port: int) -> None:
        self.sends = True
        self.ups = 0
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.lost = asyncio.Event()
        self.client = SimulatorUpstream("127.0.0.1", port, "node", "a")

    def may_send(self) -> bool:
        return self.sends

    def congested(self) -> bool:
        return False

    def on_upstream(self, message: Any) -> None:
        self.heard.put_nowait(message)

    def on_broken(self, broken: Any) -> None:
        self.heard.put_nowait(broken)

    def on_upstream_up(self) -> None:
        self.ups += 1

    def on_upstream_down(self) -> None:
        if not self.client.well:
            self.lost.set()

    def on_upstream_writable(self) -> None:
        pass

    async def until(self, well: bool) -> float:
        """How long it took until the upstream was well, or no more."""
        began = time.monotonic()
        await soon(lambda: self.client.well == well)
        return time.monotonic() - began


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    simulator = Simulator()
    yield simulator
    await simulator.stop()


@pytest_asyncio.fixture
async def proxy(simulator: Simulator) -> AsyncIterator[Proxy]:
    addresses = await simulator.start()
    async with Proxy(lambda: (addresses.host, addresses.port)) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def coreapp(proxy: Proxy) -> AsyncIterator[Coreapp]:
    coreapp = Coreapp(proxy.port)
    running = asyncio.create_task(coreapp.client.run(coreapp))
    coreapp.client._unheard = client.LOST_SECONDS  # known only once it was heard
    await coreapp.until(well=True)
    yield coreapp
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    coreapp.client.abort()


async def test_a_silent_cut_is_noticed_in_time_and_healed(coreapp: Coreapp, proxy: Proxy) -> None:
    proxy.cut()
    took = await coreapp.until(well=False)
    assert client.LOST_SECONDS - client.QUIET_SECONDS - 0.2 < took < client.LOST_SECONDS + 3.0
    assert coreapp.lost.is_set()
    assert not coreapp.client.connected
    proxy.heal()
    await coreapp.until(well=True)


async def test_a_quiet_upstream_that_answers_is_well(
    coreapp: Coreapp, simulator: Simulator
) -> None:
    """Also while it takes nothing and limits what it takes."""
    simulator.use(Faults(pause=True, rate=1.0))
    quietest = 0.0
    for _ in range(30):
        await asyncio.sleep(0.1)
        quietest = max(quietest, coreapp.client._unheard)
    assert quietest < 1.0
    assert (coreapp.ups, coreapp.heard.empty()) == (1, True)


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
    assert coreapp.heard.empty()
    assert coreapp.client.well

"""A simulator over real sockets, with the client that coreapps use as its owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import msgspec

from tests.harness.wait import PATIENCE
from warouter._hash import slot_of
from warouter.lab.simulator.control import Addresses
from warouter.lab.simulator.server import Simulator
from warouter.upstream.broken import Broken
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.protocol import Answer, Claim, Claimed, Event, Heard, Send, UpstreamHandler

TO = "491511234567"
SLOT = slot_of(TO)


class Owner(UpstreamHandler):
    """A coreapp's side: the client and what it heard, in order."""

    def __init__(self, addresses: Addresses, incarnation: str) -> None:
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()
        self._held_back: list[Heard] = []
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.client = SimulatorUpstream(addresses.host, addresses.port, "node", incarnation)
        self._running = asyncio.create_task(self.client.run(self))

    def may_send(self) -> bool:
        return True

    def on_broken(self, broken: Broken) -> None:
        raise AssertionError(broken)

    def on_upstream(self, heard: Iterable[Heard]) -> None:
        for message in heard:
            self._heard.put_nowait(message)

    def on_upstream_up(self) -> None:
        self.up.set()

    def on_upstream_down(self) -> None:
        self.down.set()

    async def next(self, wanted: Callable[[Any], bool]) -> Any:
        """The first message not seen yet that is wanted; others stay for later calls."""
        for message in self._held_back:
            if wanted(message):
                self._held_back.remove(message)
                return message
        async with asyncio.timeout(PATIENCE):
            while not wanted(message := await self._heard.get()):
                self._held_back.append(message)
        return message

    async def claim(self, epoch: int) -> None:
        self.client.tell(Claim(SLOT, epoch))
        await self.next(lambda m: m == Claimed(SLOT, epoch, True))

    async def send(self, id: str, seq: int) -> Answer:
        self.client.tell(Send(SLOT, 1, seq, id, TO, "message", memoryview(b'{"to":"x"}')))
        answer: Answer = await self.next(lambda m: isinstance(m, Answer) and m.id == id)
        return answer

    async def event(self) -> Event:
        event: Event = await self.next(lambda m: isinstance(m, Event))
        return event

    async def stop(self) -> None:
        await self.client.close()
        await self._running


class World:
    """A running simulator, its control port, and the owners of a test."""

    def __init__(self, simulator: Simulator, addresses: Addresses) -> None:
        self.simulator = simulator
        self.addresses = addresses
        self._http = aiohttp.ClientSession(addresses.control_url)
        self._owners: list[Owner] = []

    async def owner(self, incarnation: str = "a", epoch: int = 1) -> Owner:
        owner = Owner(self.addresses, incarnation)
        self._owners.append(owner)
        async with asyncio.timeout(PATIENCE):
            await owner.up.wait()
        await owner.claim(epoch)
        return owner

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        async with self._http.request(method, path, data=data) as answer:
            assert answer.content_type == "application/json"
            return answer.status, await answer.json()

    async def faults(self, **switches: Any) -> None:
        status, found = await self.ask("PUT", "/faults", switches)
        assert status == 200, found

    async def record(self, query: str = "") -> Any:
        status, found = await self.ask("GET", f"/record{query}")
        assert status == 200
        return found

    async def close(self) -> None:
        await self._http.close()
        for owner in self._owners:
            await owner.stop()


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[World]:
    simulator = Simulator(random=Random(11), **options)
    world = World(simulator, await simulator.start())
    try:
        yield world
    finally:
        await world.close()
        await simulator.stop()

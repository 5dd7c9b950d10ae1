"""The processes of the cluster: the real coreapp, the real master, the real links of a webapp."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from tests.campaigns.simulation import driver
from tests.campaigns.simulation.loop import Loop
from tests.campaigns.simulation.network import Link, Transport
from warouter._hash import slot_of
from warouter.config import Settings, Timing
from warouter.errors import ApiError
from warouter.link.wire import IdempotencyKey, Outgoing
from warouter.message_id import mint
from warouter.node.coreapp import Coreapp
from warouter.node.mapview import MapView
from warouter.node.master import Master
from warouter.node.runtime import ProcessIdentity
from warouter.node.webapp import _beat
from warouter.store.beats import Beat, NodeSession
from warouter.store.database import application_name
from warouter.store.election import LeaderSession
from warouter.systemd import Notifier


class Process:
    """A process of the cluster: a loop, and what it has open."""

    def __init__(self, world: Any, name: str, role: str, loop: Loop, incarnation: UUID) -> None:
        self.world = world
        self.name = name
        self.role = role
        self.loop = loop
        self.incarnation = incarnation
        self.ends: dict[Any, None] = {}
        self.alive = True
        self.port = 0
        self.told = asyncio.Event()
        self.node: Coreapp | None = None
        loop.process = self

    def spawn(self, main: Coroutine[Any, Any, None]) -> None:
        self.loop.call_soon(self._start, main)

    def kill(self) -> None:
        """SIGKILL: the kernel closes what was open, and nothing else is said."""
        if not self.alive:
            return
        self.alive = False
        self.world.network.ports.pop(self.port, None)
        for end in list(self.ends):
            end.detach()
        self.loop.unwind()

    async def dial(self, factory: Callable[[], Any], port: int) -> tuple[Any, Any]:
        return await self.world.network.dial(self, factory, port)  # type: ignore[no-any-return]

    def listen(self, factory: Callable[[], Any], port: int) -> Listening:
        self.port = port
        listening = self.world.network.ports[port] = Listening(self, factory, port)
        return listening

    async def to_database(self, settings: dict[str, str]) -> driver.Connection:
        link = self.world.network.link(self.name, "database")
        return await driver.connect(self.loop, link, self.world.server, settings)

    def _start(self, main: Coroutine[Any, Any, None]) -> None:
        if self.alive:
            self.loop.create_task(main)
        else:
            main.close()


class Listening:
    """A port that a process listens on; also its acceptor."""

    transport_class: ClassVar[type[Transport]] = Transport

    def __init__(self, process: Process, factory: Callable[[], Any], port: int) -> None:
        self.name = process.name
        self._process = process
        self._factory = factory
        self.port = port

    def close(self) -> None:
        ports = self._process.world.network.ports
        if ports.get(self.port) is self:
            del ports[self.port]

    def accept(self, client: Transport, link: Link) -> Transport:
        end = Transport(self._process.loop, link)
        end.peer = client
        end.begin(self._factory)
        return end


class _Identity(ProcessIdentity):
    """A name and an incarnation that the seed gives."""

    def __init__(self, process: Process) -> None:
        self.incarnation = process.incarnation
        self.role = process.role
        self.name = process.name
        self.application = application_name(process.incarnation, process.name)


async def coreapp(process: Process, settings: Settings, told: asyncio.Event) -> None:
    """As ``node.coreapp.main``, with a clock of its own."""
    node = process.node = Coreapp(settings, _Identity(process), Notifier(""), process.loop.time)
    await node.start()
    tasks = node.tasks()
    watch = asyncio.ensure_future(told.wait())
    done, _ = await asyncio.wait([watch, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        if task is not watch:
            process.world.history.broken("I15", f"{process.name}: {task.get_name()} {task!r:.300}")
    watch.cancel()
    await node.stop(tasks)
    process.world.stopped(process)


async def master(process: Process, settings: Settings, timing: Timing) -> None:
    """As ``node.master.main``."""
    identity = _Identity(process)
    woken: list[Master] = []
    node = NodeSession(settings, identity.registration("", 0), lambda _what: woken[0].wake())
    session = LeaderSession(settings, process.incarnation, identity.application)
    leader = Master(
        process.incarnation, timing, session, node, Notifier(""), clock=process.loop.time
    )
    woken.append(leader)
    await leader.run()


class Webapp:
    """A webapp's links and map, and the clients of its API."""

    def __init__(self, process: Process, settings: Settings, timing: Timing, plan: Load) -> None:
        self.process = process
        self._history = process.world.history
        name = application_name(process.incarnation, process.name)
        no_pool: Any = None  # nobody calls what needs one
        self.view = MapView(settings, timing, no_pool, name)
        self._settings = settings
        registration = _Identity(process).registration("", 0)
        self._session = NodeSession(settings, registration, lambda _what: None)
        self._plan = plan

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.view.run())
            group.create_task(self.view.links.sweep())
            group.create_task(self._beat())
            for recipient in self._plan.recipients:
                group.create_task(self._client(recipient))

    async def _beat(self) -> None:
        def heard(beat: Beat) -> None:
            self.view.saw(beat.map_version)

        await _beat(self._session, self.view.links, self._settings, Notifier(""), heard)

    async def _client(self, recipient: str) -> None:
        """One message after the other to one recipient, now and then some at once.

        Some of those are one request that comes three times, and some messages have a ttl.
        """
        random = Random(f"{self._plan.seed}:{recipient}")
        wishes = Random(f"{self._plan.seed}:{recipient}:wishes")
        until = self._plan.seconds
        await asyncio.sleep(random.random() * self._plan.pause)
        while self.process.world.clock.now < until:
            many = 3 if random.random() < 0.1 else 1
            ids = [self._mint(recipient, random) for _ in range(many)]
            ttl = wishes.randint(1, 3) if wishes.random() < 0.2 else None
            key = IdempotencyKey(ids[0] + bytes(12), bytes(32)) if wishes.random() < 0.5 else None
            if many == 1:
                await self._submit(recipient, ids[0], ttl)
            else:
                await asyncio.gather(*(self._submit(recipient, each, ttl, key) for each in ids))
            gap = random.expovariate(1 / self._plan.pause)
            await asyncio.sleep(0 if gap < self._plan.pause / 4 else gap)

    async def _submit(
        self,
        recipient: str,
        message_id: bytes,
        ttl: int | None = None,
        key: IdempotencyKey | None = None,
    ) -> None:
        world = self.process.world
        kind, body = self._plan.compose(message_id)
        message = Outgoing(slot_of(recipient), message_id, recipient, kind, body, ttl, key)
        offered = world.clock.now
        try:
            known = await self.view.links.submit(message)
        except ApiError as error:
            if error.status == 400:
                self._history.broken("I5", f"a valid message was refused: {error}")
            self._history.fails(recipient, message_id, str(error))
        else:
            if key is None and known != message_id:
                self._history.broken("I11", "a message is known under another's id")
            on_disk = known in world.tables.places
            if key is not None:
                self._history.answers(key, known)
            self._history.acks(recipient, known, offered, on_disk)

    def _mint(self, recipient: str, random: Random) -> bytes:
        now_ms = int(time.time() * 1000)
        return mint(slot_of(recipient), now_ms, random.randbytes(12))


def plain(message_id: bytes) -> tuple[int, bytes]:
    """A message that no other one equals."""
    return 0, message_id[-8:]


class Load(NamedTuple):
    """What the clients of one webapp send: until when, how often, to whom."""

    seed: int
    seconds: float
    pause: float
    recipients: list[str]
    compose: Callable[[bytes], tuple[int, bytes]] = plain  # kind and body of a message

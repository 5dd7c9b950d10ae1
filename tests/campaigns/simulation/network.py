"""Links between processes, connections over them, and what happens to both.

A link that is blocked holds what is on its way, as TCP does: it arrives late, or never, once the
connection has been given up by either end. Connections of a blocked link break after some seconds,
as ``notice_silence`` and the server's keepalives have it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from tests.campaigns.simulation.loop import Clock, Loop, Timer

SILENCE = (2.5, 4.0)  # seconds until the ends of a blocked link give its connections up
RETRANSMITS = 2.0  # seconds until an old connection tries again on a link that was blocked


class End(Protocol):
    """One end of a connection."""

    def receive(self, data: Any) -> None: ...

    def reset(self) -> None: ...


class Link:
    """Everything between two parties of the cluster."""

    def __init__(self, clock: Clock, random: Random, name: str) -> None:
        self.clock = clock
        self.name = name
        self.blocks = 0
        self.ends: dict[End, None] = {}
        self.base = 0.0002 + random.random() * 0.002
        self.spread = 0.0005 + random.random() * 0.004
        self.slow = 0.0  # seconds more, while it is congested
        self._random = random
        self._held: list[tuple[Pipe, Callable[..., object], tuple[Any, ...]]] = []
        self._breaks: Timer | None = None

    def delay(self) -> float:
        draw = self._random.random()
        if self.slow:
            return self.base + draw * self.slow
        if draw > 0.995:
            return self.base + draw * 0.05
        return self.base + draw * self.spread

    def block(self) -> None:
        """Let nothing through, in either direction."""
        self.blocks += 1
        if self.blocks == 1:
            after = self._random.uniform(*SILENCE)
            self._breaks = self.clock.at(self.clock.now + after, self._break)

    def unblock(self) -> None:
        self.blocks -= 1
        if self.blocks:
            return
        if self._breaks is not None:
            self._breaks.cancel()
        held, self._held = self._held, []
        for pipe in dict.fromkeys(pipe for pipe, _, _ in held):
            if self._random.random() < 0.5:
                pipe.lag(self._random.random() * RETRANSMITS)
        for pipe, fn, args in held:
            pipe.send(fn, *args)

    def hold(self, pipe: Pipe, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._held.append((pipe, fn, args))

    def drop(self, pipe: Pipe) -> None:
        """What one end had written and has not left: it closed with linger 0."""
        self._held = [item for item in self._held if item[0] is not pipe]

    def _break(self) -> None:
        self._held.clear()
        ends, self.ends = self.ends, {}
        for end in ends:
            end.reset()


class Pipe:
    """One direction of one connection: in order, after a delay."""

    __slots__ = ("_last", "link")

    def __init__(self, link: Link) -> None:
        self.link = link
        self._last = 0.0

    def lag(self, seconds: float) -> None:
        """Nothing of it arrives before so long."""
        self._last = max(self._last, self.link.clock.now + seconds)

    def send(self, fn: Callable[..., object], *args: Any) -> None:
        link = self.link
        if link.blocks:
            link.hold(self, fn, args)
            return
        when = link.clock.now + link.delay()
        if when <= self._last:
            when = self._last + 1e-9
        self._last = when
        link.clock.at(when, self._arrive, fn, args)

    def _arrive(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        if self.link.blocks:
            self.link.hold(self, fn, args)
        else:
            fn(*args)


class Socket:
    """What is set on sockets is of no account here."""

    family = -1

    def setsockopt(self, *_: object) -> None:
        """Linger is modelled by ``abort``, silence by ``Link``."""


class Transport(asyncio.Transport):
    """A process's end of a connection, driving an asyncio protocol."""

    def __init__(self, loop: Loop, link: Link) -> None:
        super().__init__()
        self.loop = loop
        self.link = link
        self.protocol: Any = None
        self.peer: Any = None
        self.out = Pipe(link)
        self.closed = False
        self._inbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._early: list[Any] = []
        link.ends[self] = None
        loop.process.ends[self] = None

    def connect(self, factory: Callable[[], Any]) -> None:
        """The dialled connection stands; the other end may have spoken already."""
        self._begun(factory)
        for data in self._early:
            self._later(self._read, data)
        self._early.clear()

    def begin(self, factory: Callable[[], Any]) -> None:
        """An accepted connection: its protocol is made in its process."""
        self._later(self._begun, factory)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closed:
            self.out.send(self.peer.receive, bytes(data))

    def receive(self, data: Any) -> None:
        if not self.closed:
            self._later(self._read, data)

    def reset(self) -> None:
        """The connection is gone: found by the kernel, told to the protocol."""
        if not self.closed:
            self._end()
            self._later(self._lost)

    def detach(self) -> None:
        """This end's process is gone; its kernel says so to the other end."""
        if not self.closed:
            self._end()
            self.out.send(self.peer.reset)

    def abort(self) -> None:
        if not self.closed:
            self.link.drop(self.out)
            self.close()

    def close(self) -> None:
        if not self.closed:
            self.out.send(self.peer.reset)
            self.reset()

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return Socket() if name == "socket" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """No process writes faster than its link takes."""

    def _end(self) -> None:
        self.closed = True
        self._inbox.clear()
        self.link.ends.pop(self, None)
        self.loop.process.ends.pop(self, None)

    def _later(self, fn: Callable[..., object], *args: Any) -> None:
        """In order, whatever the loop does to the order of callbacks."""
        self._inbox.append((fn, args))
        self.loop.call_soon(self._next)

    def _next(self) -> None:
        if self._inbox:
            fn, args = self._inbox.popleft()
            fn(*args)

    def _lost(self) -> None:
        if self.protocol is not None:
            self.protocol.connection_lost(None)

    def _begun(self, factory: Callable[[], Any]) -> None:
        self.protocol = factory()
        self.protocol.connection_made(self)

    def _read(self, data: bytes) -> None:
        if self.protocol is None:
            self._early.append(data)
        elif not self.closed:
            self.protocol.data_received(data)


class Network:
    """Who is linked to whom, and who listens where."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self.clock = clock
        self._random = random
        self._links: dict[tuple[str, str], Link] = {}
        self.ports: dict[int, Any] = {}  # what has ``name`` and ``accept(transport)``

    def link(self, one: str, other: str) -> Link:
        key = (one, other) if one < other else (other, one)
        found = self._links.get(key)
        if found is None:
            found = self._links[key] = Link(self.clock, self._random, "-".join(key))
        return found

    async def dial(self, process: Any, factory: Callable[[], Any], port: int) -> tuple[Any, Any]:
        """A connection to who listens there; OSError when nobody does."""
        loop: Loop = process.loop
        if port not in self.ports:
            await asyncio.sleep(0.001)
            raise ConnectionRefusedError(f"nobody at {port}")
        link = self.link(process.name, self.ports[port].name)
        future = loop.create_future()
        Pipe(link).send(self._called, loop, link, port, factory, future)
        protocol = await future
        return protocol, protocol

    def _called(
        self, loop: Loop, link: Link, port: int, factory: Any, future: asyncio.Future[Any]
    ) -> None:
        listener = self.ports.get(port)
        back = Pipe(link)
        if listener is None:
            back.send(_refused, future)
            return
        client = listener.transport_class(loop, link)
        client.peer = listener.accept(client, link)
        if client.peer is None:
            client.closed = True
            back.send(_refused, future)
            return
        back.send(loop.call_soon, self._connected, client, factory, future)

    def _connected(self, client: Transport, factory: Any, future: asyncio.Future[Any]) -> None:
        if future.done() or client.closed:
            client.abort()
            _refused(future)
            return
        client.connect(factory)
        future.set_result(client.protocol)


def _refused(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(ConnectionRefusedError("refused"))

"""The peers: what each is, where it runs, and its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from bench.child import Child
from bench.peers import servers
from bench.peers.callers import Turn
from bench.peers.warouter import Warouter

PYTHON = ".venv-peers/bin/python"
AMQP_PORT = 5672
# Where the callers find their server, and the pids of what is not PostgreSQL.
Place = tuple[str, list[int]]


class Missing(Exception):
    """The text says what is not there and which package brings it."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """``goal`` is the least ratio that warouter has to reach, 0 for none.

    ``server`` is the Debian package of its server, ``client`` the PyPI package of its client; empty
    where it needs none of its own.
    """

    name: str
    goal: float
    setting: str
    place: Callable[[Warouter, AsyncExitStack, Path], Awaitable[Place]]
    server: str = ""
    client: str = ""


class Side:
    """A peer that takes turns; ``accepted`` counts what it acknowledged."""

    def __init__(self, peer: Peer, callers: Child, servers: list[int]) -> None:
        self.name = peer.name
        self.accepted = 0
        self._callers = callers
        self._servers = servers

    async def turn(self, callers: int, seconds: float, warm_up: float) -> dict[str, Any]:
        """Closed loops of that many callers."""
        found = await self._ask(Turn(callers, seconds, warm_up))
        self.accepted += found["accepted"]
        return found

    async def kept(self) -> int:
        """Messages in the queue."""
        return int((await self._ask(Turn()))["messages"])

    def pids(self) -> list[int]:
        return [self._callers.pid, *self._servers]

    async def _ask(self, order: Turn) -> dict[str, Any]:
        try:
            return await self._callers.ask(order)
        except (msgspec.DecodeError, OSError) as error:
            raise SystemExit(f"{self.name}: its callers ended, see above") from error


async def start(peer: Peer, warouter: Warouter, stack: AsyncExitStack, folder: Path) -> Side:
    """Its server and its callers run; Missing if one of them cannot."""
    scratch = folder / f"peer-{peer.name}"
    scratch.mkdir()
    try:
        where, pids = await peer.place(warouter, stack, scratch)
    except servers.ServerMissing as error:
        raise Missing(f"no {error}; Debian's package {peer.server} brings it") from error
    callers = await _callers(peer, where)
    stack.push_async_callback(callers.stop)
    return Side(peer, callers, pids)


async def _callers(peer: Peer, where: str) -> Child:
    try:
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, "-m", "bench.peers.callers", peer.name, where),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise Missing(f"no {PYTHON}; make bench-peers makes it") from error
    assert process.stdout is not None
    line = await process.stdout.readline()
    first = msgspec.json.decode(line) if line else None
    if isinstance(first, int):
        return Child(process, first)
    await process.wait()
    if first is None:
        raise Missing(f"its client cannot start, see above; {peer.server or 'its server'} runs")
    raise Missing(f"no Python module {first}; PyPI's package {peer.client or first} brings it")


def _database(name: str) -> Callable[[Warouter, AsyncExitStack, Path], Awaitable[Place]]:
    async def place(warouter: Warouter, _stack: AsyncExitStack, _folder: Path) -> Place:
        return await warouter.make_database(name), []

    return place


async def _nats(_warouter: Warouter, stack: AsyncExitStack, folder: Path) -> Place:
    port, pid = await stack.enter_async_context(servers.nats(folder))
    return port, [pid]


async def _redis(_warouter: Warouter, stack: AsyncExitStack, folder: Path) -> Place:
    port, pid = await stack.enter_async_context(servers.redis(folder))
    return port, [pid]


async def _rabbitmq(_warouter: Warouter, _stack: AsyncExitStack, _folder: Path) -> Place:
    if not await servers.listens(AMQP_PORT):
        raise servers.ServerMissing(f"RabbitMQ on 127.0.0.1:{AMQP_PORT}")
    # The account that RabbitMQ makes itself and takes from loopback only.
    return f"amqp://guest:guest@127.0.0.1:{AMQP_PORT}/", servers.rabbitmq_pids()


PEERS = (
    Peer(
        name="pgqueuer",
        goal=20,
        setting="enqueue, pool 16, the same PostgreSQL",
        client="pgqueuer",
        place=_database("peer_pgqueuer"),
    ),
    Peer(
        name="procrastinate",
        goal=24,
        setting="defer_async, pool 16, the same PostgreSQL",
        client="procrastinate",
        place=_database("peer_procrastinate"),
    ),
    Peer(
        name="nats",
        goal=10.5,
        setting="JetStream, sync_interval always, an ack a message",
        server="nats-server",
        place=_nats,
    ),
    Peer(
        name="rabbitmq",
        goal=3.9,
        setting="quorum queue, publisher confirms",
        server="rabbitmq-server",
        client="aiormq",
        place=_rabbitmq,
    ),
    Peer(
        name="redis",
        goal=0,
        setting="XADD, appendfsync always; no goal",
        server="redis-server",
        place=_redis,
    ),
)

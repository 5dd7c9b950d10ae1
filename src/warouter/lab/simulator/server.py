"""The simulator's server: the stand-in for WhatsApp's servers, and the oracle of the tests.

Coreapps connect over TCP and speak ``upstream.protocol``; media and registration are services over
HTTP (``services``); people and tests use the control port (``control``). What
is decided is decided in ``exchange``; here are the sockets, the clock and the tick.
Everything that arrives in one read is taken together, and what a connection is told in one turn of
the loop leaves in one write.

The state is in memory only. A restart forgets claims, queued events and, above all, which ids were
taken: what is sent again after it is taken again. The authority's key alone is kept, in the data
directory.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import cast

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warouter import _batch
from warouter.errors import WarouterError
from warouter.lab.simulator.control import Addresses, application
from warouter.lab.simulator.exchange import Exchange, Peer
from warouter.lab.simulator.faults import Faults
from warouter.lab.simulator.number_authority import NumberAuthority
from warouter.lab.simulator.services.app import services
from warouter.lab.simulator.services.media_store import MediaStore
from warouter.upstream import authority
from warouter.upstream.protocol import MAX_FRAME, decode_to_upstream

log = logging.getLogger(__name__)

TICK_S = 0.005
KEY_FILE = "authority.key"
CALM = Faults()


async def serve(
    host: str,
    port: int,
    control_port: int,
    services_port: int = 0,
    *,
    ready: Callable[[Addresses], None] | None = None,
    data_dir: Path | None = None,
    control_names: Sequence[str] = (),
    faults: Faults = CALM,
) -> None:
    """Run a simulator until cancelled; ``ready`` is called with
    its addresses (port 0: any free one).

    OSError if an address is taken, OSError or ValueError if the key in ``data_dir`` is unusable.
    """
    key = None
    if data_dir is not None:
        key = await asyncio.to_thread(authority.kept_key, data_dir / KEY_FILE)
    simulator = Simulator(
        host, port, control_port, services_port, key=key, control_names=control_names
    )
    simulator.use(faults)
    addresses = await simulator.start()
    try:
        if ready is not None:
            ready(addresses)
        await asyncio.get_running_loop().create_future()
    finally:
        await simulator.stop()


class Simulator:
    """One simulator; ``start`` and ``stop`` it on the running loop, once.

    The control port listens on loopback only, and answers to names of loopback and to
    ``control_names``, as whom a tunnel may call it. ``random`` draws what the ratios of the faults
    ask.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int = 0,
        services_port: int = 0,
        *,
        key: Ed25519PrivateKey | None = None,
        random: Random | None = None,
        control_names: Sequence[str] = (),
    ) -> None:
        self._control_names = frozenset(control_names)
        self._host = host
        self._port = port
        self._control_port = control_port
        self._services_port = services_port
        self.key = key or Ed25519PrivateKey.generate()
        self.numbers = NumberAuthority()
        # Milliseconds in the upper bits: numbers of a later process are above all earlier ones.
        first_number = int(time.time() * 1000) << 20
        self.exchange = Exchange(random or Random(), first_number)
        self.media = MediaStore(self.exchange.record)
        self.connections: set[SimulatorConnection] = set()
        self._server: asyncio.Server | None = None
        self._control: web.AppRunner | None = None
        self._services: web.AppRunner | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def faults(self) -> Faults:
        """The present switches; change them with ``use``."""
        return self.exchange.faults

    def use(self, faults: Faults) -> None:
        """Apply other faults; ``disconnect`` is done at once and resets itself."""
        if faults.disconnect:
            for connection in tuple(self.connections):
                connection.drop()
            faults = msgspec.structs.replace(faults, disconnect=False)
        self.exchange.faults = faults

    async def start(self) -> Addresses:
        """Listen on all ports; raises OSError if one is taken, and then listens on none."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SimulatorConnection(self), self._host, self._port, backlog=512
        )
        port = _port(self._server.sockets)
        parts = self.exchange, self.media, self.numbers, self.key
        control = application(*parts, use=self.use, names=self._control_names)
        self._control = web.AppRunner(control, access_log=None)
        self._services = web.AppRunner(services(*parts), access_log=None)
        try:
            control_port = await _listen(self._control, "127.0.0.1", self._control_port)
            services_port = await _listen(self._services, self._host, self._services_port)
        except OSError:
            await self.stop()
            raise
        self._tick()
        return Addresses(self._host, port, f"http://127.0.0.1:{control_port}", services_port)

    async def stop(self) -> None:
        """Close the ports and every connection."""
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.drop()
        for runner in (self._control, self._services):
            if runner is not None:
                await runner.cleanup()
        if self._server is not None:
            await self._server.wait_closed()
        self.media.close()

    def _tick(self) -> None:
        # Armed first, so that nothing that goes wrong below stops the clock.
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        now = time.monotonic()
        self.exchange.tick(now, time.time())
        for connection in tuple(self.connections):
            connection.write_due(now)


class SimulatorConnection(asyncio.Protocol):
    """The socket of one coreapp."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._exchange = simulator.exchange
        self._peer = Peer(self._wake)
        self._splitter = _batch.Splitter(MAX_FRAME)
        self._transport: asyncio.Transport | None = None
        self._delayed: deque[tuple[float, bytes]] = deque()

    def drop(self) -> None:
        """Close at once; the exchange hears of it before anything else happens."""
        if self._transport is not None:
            self._transport.abort()
        self._forget()

    def write_due(self, now: float) -> None:
        """Write the frames whose latency has passed."""
        while self._transport is not None and self._delayed and self._delayed[0][0] <= now:
            self._transport.write(self._delayed.popleft()[1])

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._simulator.faults.refuse:
            self.drop()
            return
        sock = cast("socket.socket", transport.get_extra_info("socket"))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._simulator.connections.add(self)

    def data_received(self, data: bytes) -> None:
        now, wall = time.monotonic(), time.time()
        hear, peer = self._exchange.hear, self._peer
        try:
            for frame in self._splitter.feed(data):
                if self._transport is None:
                    return
                hear(peer, decode_to_upstream(frame), now, wall)
        except (WarouterError, ValueError) as error:
            log.error("coreapp broke the protocol", extra={"peer": peer.node, "error": str(error)})
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()

    def _wake(self) -> None:
        asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        frames, self._peer.out = self._peer.out, []
        if self._transport is None or not frames:
            return
        batch = _batch.pack(frames)
        latency = self._simulator.faults.latency_ms / 1000
        if latency or self._delayed:
            # Behind what waits already, also when the latency was taken off meanwhile.
            last = self._delayed[-1][0] if self._delayed else 0.0
            self._delayed.append((max(last, time.monotonic() + latency), batch))
        else:
            self._transport.write(batch)

    def _forget(self) -> None:
        self._transport = None
        self._delayed.clear()
        self._simulator.connections.discard(self)
        self._exchange.gone(self._peer)


def _port(sockets: tuple[socket.socket, ...]) -> int:
    return cast("int", sockets[0].getsockname()[1])


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return cast("tuple[str, int]", runner.addresses[0])[1]

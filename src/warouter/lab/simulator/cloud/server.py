"""The Cloud door's server: Graph side, webhooks, control port.

What is decided is decided in ``world`` and ``graph``; here are the listening sockets, the clock and
the tick. The state is in memory only.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, cast

import msgspec
from aiohttp import web

from warouter.lab.simulator.cloud.control import application
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.account_node import AccountNode
from warouter.lab.simulator.cloud.graph.app_node import AppNode
from warouter.lab.simulator.cloud.graph.callbacks import CallbackEdge
from warouter.lab.simulator.cloud.graph.callers import CallJudge
from warouter.lab.simulator.cloud.graph.compliance_edge import ComplianceEdge
from warouter.lab.simulator.cloud.graph.connection import GraphConnection
from warouter.lab.simulator.cloud.graph.history import History
from warouter.lab.simulator.cloud.graph.line import GraphLine
from warouter.lab.simulator.cloud.graph.media_edge import MediaEdge
from warouter.lab.simulator.cloud.graph.messages_edge import EdgeClock, MessagesEdge
from warouter.lab.simulator.cloud.graph.number_node import NumberNode
from warouter.lab.simulator.cloud.graph.profile_edge import ProfileEdge
from warouter.lab.simulator.cloud.graph.routes import GraphRouter, Nodes, tracer
from warouter.lab.simulator.cloud.graph.tokens import BearerTokens
from warouter.lab.simulator.cloud.graph.uploads import UploadSessions
from warouter.lab.simulator.cloud.record import CloudRecord
from warouter.lab.simulator.cloud.webhooks.sender import WebhookSender
from warouter.lab.simulator.cloud.world import World
from warouter.lab.simulator.number_authority import NumberAuthority

TICK_S = 0.005
_SWEEP_S = 0.1
_ALWAYS = float("inf")


class CloudAddresses(msgspec.Struct, frozen=True):
    """Where a Cloud door listens: the base URL of the Graph API, and the control port's URL."""

    graph_url: str
    control_url: str


async def serve(
    host: str,
    port: int,
    control_port: int,
    webhook_urls: Sequence[str],
    facts: CloudFacts,
    faults: CloudFaults,
    *,
    ready: Callable[[CloudAddresses], None] | None = None,
    control_names: Sequence[str] = (),
    tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
) -> None:
    """Run a Cloud door until cancelled; ``ready`` is called with its addresses (port 0: any free
    one). OSError if an address is taken.
    """
    simulator = CloudSimulator(
        facts,
        host,
        port,
        control_port,
        webhook_urls,
        control_names=control_names,
        tls=tls,
        client_tls=client_tls,
    )
    simulator.use(faults)
    addresses = await simulator.start()
    try:
        if ready is not None:
            ready(addresses)
        await asyncio.get_running_loop().create_future()
    finally:
        await simulator.stop()


class CloudSimulator:
    """One Cloud door; ``start`` and ``stop`` it on the running loop, once.

    ``webhook_urls`` are called in turn, each after its handshake; ``subscribe`` gives others later.
    ``tls`` is for the Graph API, ``client_tls`` for webhooks: it may have a certificate to show.
    """

    def __init__(
        self,
        facts: CloudFacts | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int = 0,
        webhook_urls: Sequence[str] = (),
        *,
        random: Random | None = None,
        control_names: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
        client_tls: ssl.SSLContext | None = None,
    ) -> None:
        self.facts = facts or CloudFacts()
        self._host, self._port, self._control_port = host, port, control_port
        self._webhook_urls = tuple(webhook_urls)
        self._control_names = frozenset(control_names)
        self._random = random or Random()
        self._tls, self._client_tls = tls, client_tls
        self.world = World(self.facts, self._random)
        self.line: GraphLine[GraphConnection] = GraphLine()
        self.numbers = NumberAuthority()
        self.media = MediaEdge(self.world.record, self._switches)
        self.world.is_media = self.media.is_known
        self.history = History(self._switches)
        self.world.happened = self.history.told
        self.number = NumberNode(self.facts, self.numbers, self._switches)
        self.account = AccountNode(self.facts, self.number, self.world.templates, self._switches)
        self.uploads = UploadSessions()
        self.profile = ProfileEdge(self.uploads)
        self.compliance = ComplianceEdge()
        self.sender = WebhookSender(
            self.world.outbox,
            self.world.record,
            self.facts.secret,
            self.facts.verification,
            self._switches,
        )
        self._graph = self._made_graph()
        self._server: asyncio.Server | None = None
        self._control: web.AppRunner | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_called = False
        self._swept = 0.0

    @property
    def record(self) -> CloudRecord:
        """The record of what arrived."""
        return self.world.record

    @property
    def faults(self) -> CloudFaults:
        """The present switches; change them with ``use``."""
        return self.world.faults

    def use(self, faults: CloudFaults) -> None:
        """Apply other switches. Those that take seconds begin now and reset themselves; what runs
        already goes on: ``calm`` ends it.
        """
        now = time.monotonic()
        self.world.use(faults, now)
        if faults.deaf_s:
            self.line.deafen(now + faults.deaf_s)
        if faults.cut_s:
            self.line.cut(now + faults.cut_s)

    def calm(self) -> None:
        """Reset every switch, and end what runs."""
        self.world.calm()
        self.line.mend(_ALWAYS)
        self.use(CloudFaults())

    def subscribe(self, urls: Sequence[str]) -> None:
        """Call these URLs from now on, each after its handshake."""
        self._webhook_urls = tuple(urls)
        self.number.callbacks.application = urls[0] if urls else ""
        self._is_called = self.world.heard = bool(urls)
        self.sender.subscribe(urls)

    async def start(self) -> CloudAddresses:
        """Listen on both ports; raises OSError if one is taken, and then listens on none."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connection, self._host, self._port, backlog=512, ssl=self._tls
        )
        self.line.listen_on(self._server.sockets)
        port = cast("int", self._server.sockets[0].getsockname()[1])
        graph_url = f"{'https' if self._tls else 'http'}://{self._host}:{port}"
        self.media.base = self.account.base = self.profile.base = graph_url
        control = application(
            self.world,
            self.media,
            self.numbers,
            self,
            state=self._state,
            names=self._control_names,
        )
        self._control = web.AppRunner(control, access_log=None)
        await self.sender.start(self._client_tls)
        try:
            await self._control.setup()
            await web.TCPSite(self._control, "127.0.0.1", self._control_port).start()
        except OSError:
            await self.stop()
            raise
        if self._webhook_urls:
            self.subscribe(self._webhook_urls)
        self._tick()
        control_port = cast("tuple[str, int]", self._control.addresses[0])[1]
        return CloudAddresses(graph_url, f"http://127.0.0.1:{control_port}")

    async def stop(self) -> None:
        """Close the ports and every connection."""
        if self._timer is not None:
            self._timer.cancel()
        self.line.mend(_ALWAYS)
        if self._server is not None:
            self._server.close()
        for caller in tuple(self.line.callers):
            caller.reset()
        self._graph.stop()
        await self.sender.stop()
        if self._control is not None:
            await self._control.cleanup()
        if self._server is not None:
            await self._server.wait_closed()
        self.media.store.close()

    def _made_graph(self) -> GraphRouter:
        trace = tracer(self._random)
        messages = MessagesEdge(
            self.world.intake,
            self.world.record,
            self._switches,
            self.line.when_open,
            trace,
            self._random,
            EdgeClock(time.monotonic, time.time, _later),
        )
        tokens = BearerTokens(self.facts, self._switches)
        app = AppNode(self.facts, tokens, self.number.callbacks, self._switches)
        nodes = Nodes(
            self.number,
            self.account,
            app,
            CallbackEdge(self.number, self.account, self.sender.handshake, self._call_back),
            self.profile,
            self.compliance,
            self.uploads,
            self.media,
            self.history,
        )
        callers = CallJudge(self.facts, self.world.record.counters, tokens, app, self._switches)
        return GraphRouter(self.facts, self.line, self._switches, callers, messages, nodes, trace)

    def _connection(self) -> GraphConnection:
        return GraphConnection(self._graph.handle, self.line, self._meta_clock, self._admits)

    def _admits(self) -> bool:
        return not self.faults.refuse

    def _meta_clock(self) -> float:
        return time.time() + self.faults.clock_s

    def _switches(self) -> CloudFaults:
        return self.world.faults

    def _call_back(self) -> None:
        """Call the URL that goes before the app's, or those again if there is none."""
        url = self.number.callbacks.override
        self._is_called = bool(url or self._webhook_urls)
        self.sender.override(url)

    def _state(self) -> dict[str, Any]:
        now = time.monotonic()
        return {
            "connections": len(self.line.callers),
            "running": self.world.left(now) | self.line.left(now),
            "webhook_urls": self.sender.urls,
            "unacknowledged": len(self.world.outbox),
            "statuses_due": len(self.world.timetable),
        }

    def _tick(self) -> None:
        # Armed first, so that nothing that goes wrong below stops the clock.
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        chosen = "messages" not in self.faults.missing_fields
        self.world.heard = self._is_called and self.account.subscribed and chosen
        now = time.monotonic()
        self.line.mend(now)
        self.world.intake.checks_identity = self.number.checks_identity
        self.world.tick(now, time.time())
        self.sender.tick(now)
        if now - self._swept >= _SWEEP_S:
            self._swept = now
            self._close_idle(now)

    def _close_idle(self, now: float) -> None:
        idle = self.faults.idle_s
        if not idle or self.line.silent:
            return
        for caller in tuple(self.line.callers):
            if caller.is_idle and now - caller.since >= idle:
                caller.close()


def _later(seconds: float, then: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, then)

"""The Graph API's client in a process: what stands in for ``graph.exchange.Graph`` and its kin.

A request is one write on a link that may be clogged or cut; its end closes with linger 0, so that
what has not left is gone (7.3.9 of the specification; ``Meta.lingers`` takes that out).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from tests.campaigns.simulation.loop import EPOCH
from tests.campaigns.simulation.network import Link, Pipe
from tests.harness import posting
from warouter import cloud_settings
from warouter.cloud_number import NumberCloud
from warouter.lab.simulator.cloud.graph import errors
from warouter.upstream.cloud.graph.calls import failure
from warouter.upstream.cloud.graph.connections import AHEAD
from warouter.upstream.cloud.graph.described import NumberFields, TokenFacts
from warouter.upstream.cloud.graph.exchange import Exchanged, ExchangeOutcome, OnEnd
from warouter.upstream.cloud.graph.failed import CallAway

CONNECT = 0.5  # seconds until a connection over a link that lets nothing through is given up
NO_TOKEN = (errors.status_of(errors.TOKEN), errors.answer(errors.TOKEN, "", ""))


class Asker:
    """The server's end of a request's connection, as the core of the simulator's door asks for."""

    requests = 1

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def is_open(self) -> bool:
        return self._request.open

    def when_gone(self, _then: object) -> None:
        """The judge has its own record."""

    def answer(self, status: int, body: bytes, _kind: str = "", _location: str = "") -> None:
        """All of it at once."""
        request, meta = self._request, self._request.meta
        now = int(EPOCH + meta.clock.now + meta.switches().clock_s)
        whole = Exchanged(ExchangeOutcome.ANSWERED, status, body, server_time=now)
        request.down.send(request.receive, whole)

    def reset(self, *_: object) -> None:
        """Whatever it has said before: half an answer is none."""
        self._request.down.send(self._request.reset)

    close = half = endless = reset


class Request:
    """A request that has begun, as the client's end of its connection."""

    def __init__(self, graph: Graph, link: Link, body: bytes) -> None:
        self.meta = graph.meta
        self.body = body
        self.process = graph.loop.process
        self.open = True  # for the client
        self.arrived = False
        self.written = 0.0
        self.token = graph.meta.token_of(self.process)
        self.asker = Asker(self)
        self.answered: asyncio.Future[Exchanged] = graph.loop.create_future()
        self.late = False
        self._graph = graph
        self._link = link
        self._up, self.down = Pipe(link), Pipe(link)
        link.ends[self] = None
        self.process.ends[self] = None
        graph.requests[self] = None

    def write(self) -> None:
        if self.open:
            self.written = self.meta.clock.now
            self._up.send(self.meta.arrive, self)

    def receive(self, exchanged: Any) -> None:
        """The answer, all of it at once."""
        self._end(exchanged)

    def reset(self) -> None:
        self.close("connection lost")

    def close(self, cause: str) -> None:
        if self.open:
            self._link.drop(self._up)
            self._end(Exchanged(ExchangeOutcome.UNKNOWN, cause=cause, late=self.late))

    def detach(self) -> None:
        """Its process is gone."""
        self._link.drop(self._up)
        if not self.meta.lingers and not self.arrived:
            self.meta.comes_late(self)
        self._forget()

    def _end(self, exchanged: Exchanged) -> None:
        if not self.open:
            return
        self._forget()
        self.meta.history.ended(self.body)
        self._graph.loop.call_soon(self._resolve, exchanged)

    def _forget(self) -> None:
        self.open = False
        self.meta.out.pop(self, None)
        self._link.ends.pop(self, None)
        self.process.ends.pop(self, None)
        self._graph.requests.pop(self, None)

    def _resolve(self, exchanged: Exchanged) -> None:
        self.meta.history.hears(self.process, self.body, exchanged)
        if not self.answered.done():
            self.answered.set_result(exchanged)


class Graph:
    """All requests of one process."""

    meta: Any  # set by the world, for all

    def __init__(self, _cloud: object, _secrets: object, _json_limit: int) -> None:
        self.loop: Any = asyncio.get_running_loop()
        self.requests: dict[Request, None] = {}
        self.connections = self
        self.limit = AHEAD
        self.late_writes = 0

    def begin(
        self,
        _of: NumberCloud,
        body: bytes,
        may_begin: Callable[[], bool],
        on_end: OnEnd,
        edge: str = "messages",
    ) -> None:
        """As ``GraphExchange.begin``."""
        posting.begin(self._post(body, may_begin), on_end)

    async def _post(self, body: bytes, may_begin: Callable[[], bool]) -> Exchanged:
        meta, link = self.meta, self.meta.link(self.loop.process.name)
        pooled = meta.draw() < 0.5
        if meta.refuses or (link.blocks and not pooled):
            await asyncio.sleep(CONNECT * meta.draw())
            return Exchanged(ExchangeOutcome.UNBEGUN, cause="no connection in time")
        if not pooled:
            await asyncio.sleep(0.01 * meta.draw())
        if not may_begin():
            return Exchanged(ExchangeOutcome.UNBEGUN, cause="refused")
        request = Request(self, link, body)
        meta.begins(request, may_begin)
        timer = self.loop.call_later(
            cloud_settings.REQUEST_SECONDS, request.close, "no answer in time"
        )
        try:
            exchanged = await request.answered
        finally:
            timer.cancel()
        self.late_writes += request.late
        return replace(exchanged, token_hash=request.token.encode())

    def cut(self) -> None:
        """At a lease's deadline: what may not have reached the other side."""
        for request in list(self.requests):
            if not request.arrived:
                request.close("cut")

    def size(self, rate: float) -> None:
        """There are as many connections as are needed."""

    def warm_up(self, rate: float) -> None:
        """Connections are there when they are needed."""

    def close(self) -> None:
        for request in list(self.requests):
            request.close("closed")


class Number:
    """In the place of ``graph.number_calls.Number``."""

    def __init__(self, _calls: object, _marketing: object = None) -> None:
        """Calls go to ``Meta``, whatever they would be over."""

    async def facts(self, of: NumberCloud) -> NumberFields:
        await self.probe(of)
        return NumberFields(status="CONNECTED")

    async def categories(self, of: NumberCloud) -> Mapping[tuple[str, str], str]:
        await self.probe(of)
        categories = Graph.meta.switches().categories
        return {(name, "en"): category for name, category in categories.items()}

    async def probe(self, _of: NumberCloud) -> None:
        loop: Any = asyncio.get_running_loop()
        meta = Graph.meta
        await asyncio.sleep(0.05 * meta.draw())
        if meta.refuses or meta.frozen or meta.link(loop.process.name).blocks:
            raise CallAway("no answer")
        if meta.refuses_token_of(loop.process):
            raise failure(*NO_TOKEN)


class App:
    """In the place of ``graph.app_calls.App``."""

    def __init__(self, _calls: object, _secrets: object) -> None:
        """Calls go to ``Meta``, whatever they would be over."""

    async def token(self, _of: NumberCloud) -> TokenFacts:
        loop: Any = asyncio.get_running_loop()
        if Graph.meta.refuses_token_of(loop.process):
            raise failure(*NO_TOKEN)
        return TokenFacts("1", True, 0, 0, frozenset())

"""The tools of every measurement: the number, its recipients, the clock, and what comes back.

Requests go by the product's own sockets, so a request that is cut here ends as one does that is cut
by the end of a lease or of a process: nothing of it is left behind that could go out later.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from functools import partial
from itertools import count, cycle
from statistics import median
from typing import Any, Protocol

from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import REQUEST_SECONDS, CloudSettings
from warouter.errors import CommandError
from warouter.flow.pairs import Pairs
from warouter.lab.probe.arrivals import Arrivals
from warouter.lab.probe.bodies import body, reference
from warouter.lab.probe.listening import Listening
from warouter.lab.probe.observed import Observed, ProbeMessage, masked
from warouter.lab.probe.plan import Times
from warouter.lab.probe.questions import ProbeScope
from warouter.lab.probe.refusals import RunRefusals, failed
from warouter.upstream.cloud.answers import Class, judge
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.connections import Unreachable
from warouter.upstream.cloud.graph.exchange import Exchanged, ExchangeOutcome, GraphExchange
from warouter.upstream.cloud.graph.response import Response
from warouter.upstream.cloud.graph.wire import Begun
from warouter.upstream.cloud.secrets import Secrets

_JSON_LIMIT = 64 * 1024
_UNREACHABLE = -1


class Person(Protocol):
    """A person at the terminal."""

    async def count(self, question: str, seconds: float) -> int | None:
        """The number that is answered, None if none is in time."""
        ...


class Lab:
    """The tools of one run, named ``run``.

    ``say`` tells people how far it is; without a ``person`` nobody is asked. Without ``pairs``
    recipients are written to as fast as one likes. Nothing is sent once Meta has said what ends a
    run (``refusals``): whoever would send gets a CommandError.
    """

    def __init__(
        self,
        cloud: CloudSettings,
        of: NumberCloud,
        asked: ProbeScope,
        times: Times,
        run: str,
        say: Callable[[str], None],
        *,
        person: Person | None = None,
        pairs: Pairs | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.cloud, self.of, self.asked, self.times, self.run = cloud, of, asked, times, run
        self.say, self.person, self.tls = say, person, tls
        self.clock: Callable[[], float] = lambda: loop.time() - began
        self.observed = Observed(began=time.time())
        self.secrets = Secrets(of)
        self.arrivals = Arrivals(self.clock)
        self.listening = Listening(cloud, of, self.secrets, self.arrivals, self.clock)
        self.calls = Calls(cloud, self.secrets, tls)
        self._graph = GraphExchange(cloud, self.secrets, _JSON_LIMIT, tls=tls)
        self._pairs = pairs
        self._numbers = count(1)
        self._recipients = cycle(range(len(asked.recipients)))
        self._clocks: list[float] = []
        self._refusals = RunRefusals()
        self._ending = ""

    async def close(self) -> None:
        await self.listening.close()
        self._graph.close()
        await self.calls.close()

    def message(self, question: str, kind: str, to: int | None = None) -> ProbeMessage:
        """A new message, to the next of the numbers unless told."""
        made = ProbeMessage(
            question=question,
            kind=kind,
            to=next(self._recipients) if to is None else to,
            reference=reference(self.run, question, next(self._numbers)),
        )
        self.observed.messages.append(made)
        return made

    def again(self, message: ProbeMessage) -> ProbeMessage:
        """The message once more, equal in every byte."""
        made = ProbeMessage(
            question=message.question,
            kind=message.kind,
            to=message.to,
            reference=message.reference,
        )
        self.observed.messages.append(made)
        return made

    def words(self, question: str) -> str:
        """A text that tells whoever reads it on the phone where it comes from."""
        return f"warouter probe {self.run} {question}"

    async def send(
        self, message: ProbeMessage, content: Any, kind: str = "text", **more: Any
    ) -> ProbeMessage:
        """Send it as fast as its recipient may be written to, and take its answer."""
        to = await self._turn(message)
        exchange = self._graph.post(
            self.of,
            body(to, message.reference, kind, content, **more),
            lambda: self._written(message),
        )
        self._answered(message, await exchange)
        return message

    async def cut(self, message: ProbeMessage, content: Any, after_ms: int) -> ProbeMessage:
        """Send all of its bytes, and reset the connection so long after the last one."""
        to = await self._turn(message)
        message.cut_ms = after_ms
        try:
            wire = await self._graph.connections.take()
        except Unreachable:
            return message
        heard: list[Response | None] = []
        begun = wire.begin_request(
            self._graph.request(self.of, body(to, message.reference, "text", content)),
            lambda: self._written(message),
            asyncio.get_running_loop().time() + REQUEST_SECONDS,
            heard.append,
        )
        if begun is not Begun.BEGUN:
            message.written = None
            self._graph.connections.give(wire)
            return message
        if after_ms:
            await asyncio.sleep(after_ms / 1000)
        message.outcome, message.ended = "cut", self.clock()
        answered = heard[0] if heard else None
        wire.close("cut")
        if answered is not None:
            message.outcome = "answered"
            self._judge(message, answered.status, answered.body)
        return message

    def check(self) -> None:
        """CommandError if Meta has said what ends the run, in an answer or in a status."""
        reasons = filter(None, map(failed, sorted(self.arrivals.failures)))
        self._ending = self._ending or next(reasons, "")
        if self._ending:
            raise CommandError(self._ending)

    def server_time(self, unix_seconds: int) -> None:
        """Meta's clock, in whole seconds, as an answer said just now."""
        self._clocks.append(unix_seconds + 0.5 - time.time())
        self.observed.clock = median(self._clocks)

    def finish(self) -> Observed:
        """Give each message its statuses, and return all observations."""
        for message in self.observed.messages:
            message.statuses = list(self.arrivals.of(message))
        return self.observed

    async def _turn(self, message: ProbeMessage) -> str:
        """Wait until the recipient may be written to; returns its digits."""
        await asyncio.sleep(self.times.gap)
        to = self._number(message)
        if self._pairs is not None and message.to != _UNREACHABLE:
            for wait in iter(partial(self._take, self._pairs, to), 0.0):
                await asyncio.sleep(wait)
        self.check()
        return to

    def _number(self, message: ProbeMessage) -> str:
        is_one = message.to != _UNREACHABLE
        return self.asked.recipients[message.to] if is_one else self.asked.unreachable

    def _take(self, pairs: Pairs, to: str) -> float:
        return pairs.take(to, self.clock())

    def _written(self, message: ProbeMessage) -> bool:
        """Asked around the write, last after it: see ``graph.wire``."""
        message.written = self.clock()
        return True

    def _answered(self, message: ProbeMessage, exchanged: Exchanged) -> None:
        message.ended = self.clock()
        if exchanged.server_time is not None:
            self.server_time(exchanged.server_time)
        match exchanged.outcome:
            case ExchangeOutcome.ANSWERED:
                message.outcome = "answered"
                self._judge(message, exchanged.status, exchanged.body)
            case ExchangeOutcome.UNKNOWN:
                message.outcome, message.words = "unanswered", masked(exchanged.cause)
            case ExchangeOutcome.UNBEGUN:
                message.written = None
                message.words = masked(exchanged.cause)

    def _judge(self, message: ProbeMessage, status: int, answer: bytes) -> None:
        judged = judge(status, answer)
        message.http, message.code = status, judged.meta_code
        message.wamid, message.words = judged.wamid, masked(judged.details)
        self.arrivals.sent(judged.wamid)
        if judged.cls is Class.LANE and self._pairs is not None:
            self._pairs.refused(self._number(message), self.clock())
        reason = self._refusals.answered(judged, message.words)
        self._ending = self._ending or reason
        self.check()

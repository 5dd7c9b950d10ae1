"""``POST /{version}/{phone-number-id}/messages``: one request, and what can be said of it.

No request is repeated here, no redirect is followed, and nothing is said to be refused that may
have been taken: there is no way to ask Meta afterwards.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import ssl
from collections import deque
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from warouter import SERVER, background
from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import REQUEST_SECONDS, CloudSettings
from warouter.flow.share import connections_for
from warouter.upstream.cloud.graph.connections import AHEAD, ConnectionPool, Origin, Unreachable
from warouter.upstream.cloud.graph.marketing import EDGES, MESSAGES
from warouter.upstream.cloud.graph.response import Response
from warouter.upstream.cloud.graph.wire import Begun, MayBegin, Wire
from warouter.upstream.cloud.secrets import Secrets

log = logging.getLogger(__name__)

_ASSUMED_SECONDS = 0.35
_ENOUGH, _REMEMBERED = 20, 500
_MOST_HEADS = 1_024


HELD_BACK = "refused"  # the cause of a request that ``may_begin`` refused


class ExchangeOutcome(enum.Enum):
    """The outcome of a request, as far as it is known."""

    ANSWERED = enum.auto()  # a complete answer came
    UNBEGUN = enum.auto()  # surely no byte of it was written
    UNKNOWN = enum.auto()  # a request that was begun and has no complete answer


class Exchanged(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a request; what follows ``cause`` is of the answer, if there was one.

    ``cause`` says why there was none. ``late``: the request began after its lease could be taken.
    ``server_time`` is the other side's clock, unix seconds. ``token_hash`` is of the token that the
    request carried: by the time of its answer another one may be in force.
    """

    outcome: ExchangeOutcome
    status: int = 0
    body: bytes = b""
    retry_after: str = ""
    cause: str = ""
    server_time: int | None = None
    late: bool = False
    token_hash: bytes = b""


OnEnd = Callable[[Exchanged], None]


class _Heads(NamedTuple):
    """The beginning of a number's requests, by edge: up to the size of the body.

    ``account`` begins their bodies in place of a brace, where it is not empty.
    """

    of: NumberCloud
    token_hash: bytes
    by_edge: dict[str, bytes]
    account: bytes


class _Request(NamedTuple):
    """A request to begin. It waits for a connection and for its answer ``until`` then (loop's
    time).
    """

    of: NumberCloud
    body: bytes
    edge: str
    may_begin: MayBegin
    on_end: OnEnd
    until: float


class GraphExchange:
    """Sends messages of all numbers. ``late_writes`` counts the requests that began too late, and
    were cut.

    ``json_limit`` is the largest body of a message in bytes.
    """

    def __init__(
        self,
        cloud: CloudSettings,
        secrets: Secrets,
        json_limit: int,
        *,
        tls: ssl.SSLContext | None = None,
        seconds: float = REQUEST_SECONDS,
    ) -> None:
        origin = Origin.of(cloud.base_url)
        self._most = cloud.connections
        self.connections = ConnectionPool(
            origin, send_bytes=2 * json_limit, limit=min(AHEAD, self._most), tls=tls
        )
        self.late_writes = 0
        self._took: deque[float] = deque(maxlen=_REMEMBERED)
        self._secrets = secrets
        self._seconds = seconds
        self._path = urlsplit(cloud.base_url).path
        self._fields = (
            f" HTTP/1.1\r\nHost: {origin.shown}\r\n"
            f"User-Agent: {SERVER}\r\n"
            "Accept: application/json\r\nContent-Type: application/json\r\nAuthorization: Bearer "
        )
        self._heads: dict[int, _Heads] = {}  # by number; made anew when a secret has changed
        self._changes = secrets.changes

    async def post(
        self, of: NumberCloud, body: bytes, may_begin: MayBegin, edge: str = MESSAGES
    ) -> Exchanged:
        """``begin`` a request, and wait for its end; whoever gives up waiting cuts nothing."""
        ended: asyncio.Future[Exchanged] = asyncio.get_running_loop().create_future()

        def on_end(exchanged: Exchanged) -> None:
            if not ended.done():
                ended.set_result(exchanged)

        self.begin(of, body, may_begin, on_end, edge)
        return await ended

    def begin(
        self,
        of: NumberCloud,
        body: bytes,
        may_begin: MayBegin,
        on_end: OnEnd,
        edge: str = MESSAGES,
    ) -> None:
        """Send a message to an ``edge`` of the number, if ``may_begin`` still holds once there is a
        connection.

        It is asked immediately before the write and after it, so it must be quick, and change by
        the clock alone as long as nobody else runs. ``on_end`` is called in a later turn of the
        loop: with an answer in that in which it came.
        """
        loop = asyncio.get_running_loop()
        request = _Request(of, body, edge, may_begin, on_end, loop.time() + self._seconds)
        while (wire := self.connections.free()) is not None:
            if self._begin(wire, request):
                return
        background.begin(self._begin_later(request), partial(self._broken, request))

    async def _begin_later(self, request: _Request) -> None:
        """``begin``, where no connection is free."""
        while True:
            try:
                wire = await self._taken(request.until)
            except Unreachable as error:
                request.on_end(Exchanged(ExchangeOutcome.UNBEGUN, cause=str(error)))
                return
            except TimeoutError:
                cause = "no free connection in time"
                request.on_end(Exchanged(ExchangeOutcome.UNBEGUN, cause=cause))
                return
            if self._begin(wire, request):
                return

    def _begin(self, wire: Wire, request: _Request) -> bool:
        """False: this connection had ended, as a used one may; another may be open."""
        loop = asyncio.get_running_loop()
        try:
            heads = self._heads_of(request.of)
            told = partial(self._answered, wire, request, heads.token_hash, loop.time())
            data = _bytes(heads, request.body, request.edge)
            begun = wire.begin_request(data, request.may_begin, request.until, told)
        except BaseException:
            wire.close("broken")
            raise
        if begun is Begun.BEGUN:
            return True
        cause = HELD_BACK if begun is Begun.REFUSED else wire.cause
        # A server that ends a fresh connection may end them all.
        over = begun is Begun.REFUSED or wire.fresh
        if over:
            loop.call_soon(request.on_end, Exchanged(ExchangeOutcome.UNBEGUN, cause=cause))
        self.connections.give(wire)
        return over

    def _broken(self, request: _Request, error: Exception) -> None:
        """A defect of ours: nobody knows how far it came."""
        log.error("request failed", exc_info=error)
        request.on_end(Exchanged(ExchangeOutcome.UNKNOWN, cause=repr(error)))

    async def _taken(self, until: float) -> Wire:
        async with asyncio.timeout_at(until):
            return await self.connections.take()

    def size(self, rate: float) -> None:
        """Allow as many connections as ``rate`` messages a second need, as fast as answers come."""
        self.connections.limit = min(self._most, connections_for(rate, self.latency))

    @property
    def latency(self) -> float:
        """Seconds within which 99 of 100 answers came lately; at first what Meta's tests assume."""
        if len(self._took) < _ENOUGH:
            return _ASSUMED_SECONDS
        return sorted(self._took)[len(self._took) * 99 // 100]

    def warm_up(self, rate: float) -> None:
        """``rate`` messages a second are about to begin: open connections ahead for them."""
        self.size(rate)
        self.connections.warm(min(AHEAD, connections_for(rate, self.latency / 2)))

    def cut(self) -> None:
        """At the lease's deadline: see ``ConnectionPool.cut``."""
        self.connections.cut()

    def close(self) -> None:
        self.connections.close()

    def _answered(
        self,
        wire: Wire,
        request: _Request,
        token_hash: bytes,
        began: float,
        response: Response | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        if wire.late:
            self.late_writes += 1
            log.error("request begun late")
        self._took.append(loop.time() - began)
        self.connections.give(wire)
        if response is None:
            cut = Exchanged(ExchangeOutcome.UNKNOWN, cause=wire.cause, late=wire.late)
            loop.call_soon(request.on_end, cut)
            return
        if response.status == HTTPStatus.UNAUTHORIZED:
            self._secrets.refresh(request.of, anyway=True)
        request.on_end(_exchanged(response, token_hash))

    def request(self, of: NumberCloud, body: bytes, edge: str = MESSAGES) -> bytes:
        """The bytes of a request with this body, under the number's token of now."""
        return _bytes(self._heads_of(of), body, edge)

    def _heads_of(self, of: NumberCloud) -> _Heads:
        if self._changes != self._secrets.changes:
            self._changes = self._secrets.changes
            self._heads.clear()
        heads = self._heads.get(of.id)
        if heads is None or heads.of is not of:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            heads = self._heads[of.id] = self._made_heads(of)
        return heads

    def _made_heads(self, of: NumberCloud) -> _Heads:
        path = f"{self._path}/{of.app.version}/{of.phone_number_id}"
        rest = f"{self._fields}{self._secrets.token(of)}\r\nContent-Length: "
        account = of.messaging_account_id
        return _Heads(
            of,
            self._secrets.token_hash(of),
            {edge: f"POST {path}/{edge}{rest}".encode() for edge in EDGES},
            b'{"messaging_account_id":"%b",' % account.encode() if account else b"",
        )


def _bytes(heads: _Heads, body: bytes, edge: str) -> bytes:
    if heads.account:
        body = heads.account + body[1:]
    return b"%b%d\r\n\r\n%b" % (heads.by_edge[edge], len(body), body)


def _exchanged(response: Response, token_hash: bytes) -> Exchanged:
    return Exchanged(
        ExchangeOutcome.ANSWERED,
        response.status,
        response.body,
        response.fields.get("retry-after", ""),
        server_time=_unix(response.fields.get("date", "")),
        token_hash=token_hash,
    )


@lru_cache(maxsize=16)  # many answers come within a second
def _unix(date: str) -> int | None:
    try:
        return int(parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None

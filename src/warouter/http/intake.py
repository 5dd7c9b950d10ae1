"""The door of Meta's webhooks: connections, limits of its own, and the end of strangers.

It stands on a public address beside the API, so what it costs to refuse is what a flood costs the
API: a request is answered by its head wherever that is possible, with no task and no parser but
``framing``, and such an answer is the last of its connection.

Who has not delivered a body is a stranger. When places or memory run out, the stranger who is here
longest has to go, since a newcomer may be Meta; and strangers get little time.

What can be answered by the head is, before a byte of the body is looked at. Else the body goes to
the listener as a whole.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from contextlib import suppress
from http import HTTPStatus

from warouter.background import begin, rest
from warouter.errors import ApiError
from warouter.http.framing import CHUNKED, Head
from warouter.http.server_connection import ANSWER, BODY, ENDED, HEAD, WholeRequestConnection
from warouter.net.acceptor import Acceptor, listen
from warouter.tls.mutual import is_named
from warouter.upstream.cloud.listener import MOST_BYTES, WebhookAnswer, WebhookListener
from warouter.upstream.cloud.signature import FIELD

log = logging.getLogger(__name__)

CONNECTIONS = 1_000
MOST_HELD = 32 << 20  # bytes of bodies that are not complete
MOST_ENDING = 100
REQUEST_SECONDS = 20.0
IDLE_SECONDS = 120.0  # between two requests of who is no stranger
SWEEP_SECONDS = 1.0
DRAIN_SECONDS = 2.0
LINGER_SECONDS = 0.5  # until who still sends is cut off, so that the answer is read first
_FULL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class WebhookIntake:
    """The connections to one listener: an ``acceptor.Doorkeeper``.

    With a ``client_name`` only who shows a certificate for it is served. ``dropped`` has the
    connections that were ended, by the reason.
    """

    def __init__(
        self,
        listener: WebhookListener,
        *,
        client_name: str = "",
        connections: int = CONNECTIONS,
        most_bytes: int = MOST_HELD,
    ) -> None:
        self.listener = listener
        self.leaving = False
        self.dropped: Counter[str] = Counter()
        self._client_name = client_name
        self._connections = connections
        self._most_bytes = most_bytes
        self._strangers: dict[PostConnection, None] = {}  # the oldest first
        self._known: dict[PostConnection, None] = {}
        self._ending: dict[PostConnection, None] = {}  # they are answered, and still send
        self._fewer = asyncio.Event()
        self._acceptors: list[Acceptor[PostConnection]] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._strangers) + len(self._known)

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen, and return the port. Raises OSError if it is taken."""
        self._acceptors = await listen(host, port, self, tls)
        return self._acceptors[0].port

    async def sweep(self) -> None:
        """Once a second, end the connections of who is too slow. Runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await rest(SWEEP_SECONDS)
            now = loop.time()
            for caller in (*self._strangers, *self._known):
                if self._is_late(caller, now):
                    self.dropped["slow"] += caller in self._strangers
                    self._cut_off(caller)

    async def leave(self) -> None:
        """Accept no more, and wait a moment for the answers that are due."""
        self.leaving = True
        for acceptor in self._acceptors:
            acceptor.close()
        for caller in (*self._strangers, *self._known):
            caller.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while len(self):
                    self._fewer.clear()
                    await self._fewer.wait()
        for caller in (*self._strangers, *self._known, *self._ending):
            self._drop(caller)

    # acceptor.Doorkeeper

    def enter(self, address: str, sock: socket.socket) -> PostConnection | None:
        if len(self) >= self._connections and not self._make_room():
            return None
        caller = PostConnection(self, sock)
        self._strangers[caller] = None
        return caller

    def refuse(self) -> bytes:
        """There is no room: nobody who may be Meta, so it is an answer to Meta as well."""
        self.listener.unavailable()
        return _FULL

    def failed(self, caller: PostConnection, _error: BaseException) -> None:
        self.dropped["handshake"] += 1
        self.lost(caller)

    # what its connections say

    def admits(self, transport: asyncio.Transport) -> bool:
        """True if the client may ask at all."""
        if not self._client_name:
            return True
        named = is_named(transport.get_extra_info("peercert"), self._client_name)
        self.dropped["client_name"] += not named
        return named

    def holds(self, caller: PostConnection, size: int) -> bool:
        """``size`` more bytes of a body are held, or fewer; False if there is no room for them."""
        self._bytes += size
        while size > 0 and self._bytes > self._most_bytes:
            other = next((c for c in self._strangers if c.size and c is not caller), None)
            if other is None:
                return False
            self._push_out(other)
        return True

    def delivered(self, caller: PostConnection) -> None:
        """A whole body has come: whoever sent it is no stranger, or its answer is the last."""
        if self._strangers.pop(caller, self) is None:
            self._known[caller] = None

    def lingers(self, caller: PostConnection) -> None:
        """The caller is answered, and is heard out for a moment, beside those who have places."""
        self.lost(caller)
        self._ending[caller] = None
        if len(self._ending) > MOST_ENDING:
            self._drop(next(iter(self._ending)))

    def lost(self, caller: PostConnection) -> None:
        for kept in (self._strangers, self._known, self._ending):
            kept.pop(caller, None)
        self._fewer.set()

    def _make_room(self) -> bool:
        oldest = next(iter(self._strangers), None)
        if oldest is not None:
            self._push_out(oldest)
        return oldest is not None

    def _push_out(self, caller: PostConnection) -> None:
        self.dropped["pushed_out"] += 1
        self._cut_off(caller)

    def _cut_off(self, caller: PostConnection) -> None:
        """End a connection before its answer: half a body of Meta's comes again, and later."""
        if caller.turn is BODY:
            if caller in self._known:
                self.listener.unavailable()
            else:
                self.listener.in_vain()
        self._drop(caller)

    def _drop(self, caller: PostConnection) -> None:
        """Drop a caller and free its place at once: the loop tells of its end only later."""
        self.lost(caller)
        caller.drop()

    def _is_late(self, caller: PostConnection, now: float) -> bool:
        if caller.turn is ANSWER:
            return False
        waits = caller.turn is HEAD and caller in self._known
        return now - caller.since > (IDLE_SECONDS if waits else REQUEST_SECONDS)


class PostConnection(WholeRequestConnection):
    """One connection of a caller of the webhook."""

    def __init__(self, intake: WebhookIntake, sock: socket.socket) -> None:
        super().__init__(sock)
        self._intake = intake

    @property
    def size(self) -> int:
        """Bytes of the body that have come."""
        return len(self._content)

    def leave(self) -> None:
        """End it if nothing was asked: the next answer is the last one."""
        if self.is_idle:
            self.drop()

    def broke(self, error: Exception) -> None:
        log.error("webhook connection failed", exc_info=error)
        self._intake.listener.unavailable()
        self.drop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self._wire is not None
        if self.turn is ENDED or not self._intake.admits(self._wire):
            self.drop()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._intake.lost(self)

    def _malformed(self, error: ApiError) -> None:
        self._end(WebhookAnswer(error.status, error.details), unread=True)

    def _accepts(self, head: Head, came: int) -> bool:
        method, target, _ = head.line.split()
        answer = self._intake.listener.asked(method, target, head.fields, head.length)
        if answer is not None:
            self._end(answer, unread=head.length == CHUNKED or came < head.length)
        return answer is None

    def _keeps(self, size: int) -> bool:
        held = self._intake.holds(self, size)
        if self.size > MOST_BYTES:
            self._end(self._intake.listener.too_large(), unread=True)
        elif not held:
            self._end(self._intake.listener.unavailable(), unread=True)
        return self.turn is not ENDED

    def _asked(self, head: Head, body: bytes) -> None:
        self._intake.delivered(self)
        begin(self._answer(body, head.fields[FIELD]), self.broke)

    async def _answer(self, body: bytes, signature: bytes) -> None:
        answer = await self._intake.listener.posted(body, signature)
        if self.gone or self.turn is ENDED:
            return  # the caller has gone, and asks again
        is_last = self._last or self.hung_up or self._intake.leaving
        if is_last or answer.status == HTTPStatus.UNAUTHORIZED:
            self._end(answer, unread=False)
        else:
            self._write(_bytes_of(answer, last=False))
            self._next(self._now())

    def _end(self, answer: WebhookAnswer, *, unread: bool) -> None:
        """Answer, and end the connection. What is ``unread`` when it is closed resets it."""
        wire = self._wire
        assert wire is not None
        wire.write(_bytes_of(answer, last=True))
        if unread and wire.can_write_eof():
            self._stop()
            wire.pause_reading()
            wire.write_eof()
            self._intake.lingers(self)
            asyncio.get_running_loop().call_later(LINGER_SECONDS, wire.abort)
        else:
            self.force_close()

    def _let_go(self) -> None:
        self._intake.holds(self, -self.size)
        super()._let_go()


def _bytes_of(answer: WebhookAnswer, *, last: bool) -> bytes:
    text = answer.text.encode()
    return (
        b"HTTP/1.1 %d %b\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"x-content-type-options: nosniff\r\ncontent-length: %d\r\n%b\r\n%b"
    ) % (
        answer.status,
        HTTPStatus(answer.status).phrase.encode(),
        len(text),
        b"connection: close\r\n" if last else b"",
        text,
    )

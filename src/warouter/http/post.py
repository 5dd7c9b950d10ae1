"""One connection of somebody who posts webhooks: bytes in, answers out.

What can be answered by the head is, before a byte of the body is looked at, and that answer is the
last one. Else the body goes to the listener as a whole.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from http import HTTPStatus
from typing import Protocol

from warouter.background import begin
from warouter.errors import ApiError
from warouter.http.framing import CHUNKED, Head
from warouter.http.server_connection import ENDED, WholeRequestConnection
from warouter.upstream.cloud.listener import MOST_BYTES, WebhookAnswer, WebhookListener
from warouter.upstream.cloud.signature import FIELD

log = logging.getLogger(__name__)

LINGER_SECONDS = 0.5  # until who still sends is cut off, so that the answer is read first


class Keeper(Protocol):
    """The keeper of the connections: see ``intake``."""

    listener: WebhookListener
    leaving: bool

    def admits(self, transport: asyncio.Transport) -> bool: ...

    def holds(self, caller: PostConnection, size: int) -> bool: ...

    def delivered(self, caller: PostConnection) -> None: ...

    def lingers(self, caller: PostConnection) -> None: ...

    def lost(self, caller: PostConnection) -> None: ...


class PostConnection(WholeRequestConnection):
    """One connection of a caller of the webhook."""

    def __init__(self, keeper: Keeper, sock: socket.socket | None = None) -> None:
        super().__init__(sock)
        self._keeper = keeper

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
        self._keeper.listener.unavailable()
        self.drop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self._wire is not None
        if self.turn is ENDED or not self._keeper.admits(self._wire):
            self.drop()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._keeper.lost(self)

    def _malformed(self, error: ApiError) -> None:
        self._end(WebhookAnswer(error.status, error.details), unread=True)

    def _accepts(self, head: Head, came: int) -> bool:
        method, target, _ = head.line.split()
        answer = self._keeper.listener.asked(method, target, head.fields, head.length)
        if answer is not None:
            self._end(answer, unread=head.length == CHUNKED or came < head.length)
        return answer is None

    def _keeps(self, size: int) -> bool:
        held = self._keeper.holds(self, size)
        if self.size > MOST_BYTES:
            self._end(self._keeper.listener.too_large(), unread=True)
        elif not held:
            self._end(self._keeper.listener.unavailable(), unread=True)
        return self.turn is not ENDED

    def _asked(self, head: Head, body: bytes) -> None:
        self._keeper.delivered(self)
        begin(self._answer(body, head.fields[FIELD]), self.broke)

    async def _answer(self, body: bytes, signature: bytes) -> None:
        answer = await self._keeper.listener.posted(body, signature)
        if self.gone or self.turn is ENDED:
            return  # the caller has gone, and asks again
        is_last = self._last or self.hung_up or self._keeper.leaving
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
            self._keeper.lingers(self)
            asyncio.get_running_loop().call_later(LINGER_SECONDS, wire.abort)
        else:
            self.force_close()

    def _let_go(self) -> None:
        self._keeper.holds(self, -self.size)
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

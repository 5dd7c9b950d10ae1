"""One connection of somebody who posts webhooks: bytes in, answers out.

``framing`` finds where a request begins and ends. What can be answered by the head is, before a
byte of the body is looked at, and that answer is the last one. Else the body goes to the listener
as a whole, and nothing more is read until it is answered.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from enum import Enum
from http import HTTPStatus
from typing import Protocol, cast

from warouter.background import begin
from warouter.errors import ApiError
from warouter.http.framing import (
    CHUNKED,
    END,
    BodyFraming,
    Head,
    Sized,
    check_begun,
    read_head,
    without_blank_lines,
)
from warouter.upstream.cloud.listener import MOST_BYTES, WebhookAnswer, WebhookListener
from warouter.upstream.cloud.signature import FIELD

log = logging.getLogger(__name__)

LINGER_SECONDS = 0.5  # until who still sends is cut off, so that the answer is read first
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class PostState(Enum):
    """State of a connection."""

    HEAD = 0  # a request is waited for
    BODY = 1  # its head is accepted
    ANSWER = 2  # all of it is with the listener
    ENDED = 3


class Keeper(Protocol):
    """The keeper of the connections: see ``intake``."""

    listener: WebhookListener
    leaving: bool

    def admits(self, transport: asyncio.Transport) -> bool: ...

    def holds(self, caller: PostConnection, size: int) -> bool: ...

    def delivered(self, caller: PostConnection) -> None: ...

    def lingers(self, caller: PostConnection) -> None: ...

    def lost(self, caller: PostConnection) -> None: ...


class PostConnection(asyncio.Protocol):
    """One connection. ``turn`` has its state and ``since`` when that began, in the loop's time;
    ``hung_up``: the other side has ended it, or its half of it.
    """

    def __init__(self, keeper: Keeper, sock: socket.socket | None = None) -> None:
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._sock = sock  # until it has shaken hands
        self._transport: asyncio.Transport | None = None
        self._came = b""  # of the next request
        self._head: Head | None = None
        self._framing: BodyFraming = Sized(0)
        self._body = bytearray()
        self._last = False
        self.hung_up = False
        self.turn = PostState.HEAD
        self.since = self._loop.time()

    @property
    def size(self) -> int:
        """Bytes of the body that have come."""
        return len(self._body)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sock, self._transport = None, cast("asyncio.Transport", transport)
        if self.turn is PostState.ENDED or not self._keeper.admits(self._transport):
            self.drop()

    def data_received(self, data: bytes) -> None:
        try:
            if self.turn is PostState.HEAD:
                self._begin(self._came + data)
            elif self.turn is PostState.BODY:
                self._feed(data)
            elif self.turn is PostState.ANSWER:
                self._came += data
                self._pause()
        except ApiError as error:  # bytes that are no HTTP
            self._end(WebhookAnswer(error.status, error.details), unread=True)

    def eof_received(self) -> bool:
        """Let a client that sends no more still get the answer, except over TLS."""
        transport = self._transport
        waits = (
            self.turn is PostState.ANSWER and transport is not None and transport.can_write_eof()
        )
        self._last = self.hung_up = True
        return waits

    def connection_lost(self, exc: Exception | None) -> None:
        self.hung_up = True
        self._forget()
        self._keeper.lost(self)

    # intake

    def leave(self) -> None:
        """The next answer is the last one, and there is none if nothing was asked."""
        self._last = True
        if self.turn is PostState.HEAD and not self._came:
            self.drop()

    def drop(self) -> None:
        """End the connection at once."""
        self._forget()
        if self._transport is not None:
            self._transport.abort()
        elif self._sock is not None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)  # its handshake then fails

    # a request

    def _begin(self, came: bytes) -> None:
        before = len(self._came)
        self._came = came = without_blank_lines(came)
        if not came:
            return
        end = came.find(END)
        if end < 0:
            check_begun(came, min(before, len(came)))
            return
        head = self._head = read_head(came[: end + len(END)])
        self._came, rest = b"", came[end + len(END) :]
        method, target, version = head.line.split()
        answer = self._keeper.listener.asked(method, target, head.fields, head.length)
        if answer is not None:
            self._end(answer, unread=head.length == CHUNKED or len(rest) < head.length)
            return
        closes = head.fields.get(b"connection", b"").lower() == b"close"
        self._last = closes or version == b"HTTP/1.0"
        if not rest and head.fields.get(b"expect", b"").lower() == b"100-continue":
            self._write(_CONTINUE)
        self._framing, self.turn, self.since = head.body(), PostState.BODY, self._loop.time()
        self._feed(rest)

    def _feed(self, data: bytes) -> None:
        size = self._framing.take(data)
        self._body += data[:size]
        if len(self._body) > MOST_BYTES:
            self._end(self._keeper.listener.too_large(), unread=True)
        elif not self._keeper.holds(self, size):
            self._end(self._keeper.listener.unavailable(), unread=True)
        elif self._framing.ended:
            self._came = data[size:]
            self._deliver()

    def _deliver(self) -> None:
        assert self._head is not None
        body = _unchunked(self._body) if self._head.length == CHUNKED else bytes(self._body)
        self._let_go()
        self.turn, self.since = PostState.ANSWER, self._loop.time()
        self._keeper.delivered(self)
        begin(self._answer(body, self._head.fields[FIELD]), self._broke)

    async def _answer(self, body: bytes, signature: bytes) -> None:
        answer = await self._keeper.listener.posted(body, signature)
        transport = self._transport
        if self.turn is PostState.ENDED or transport is None:
            return  # the caller has gone, and asks again
        if self._last or self._keeper.leaving or answer.status == HTTPStatus.UNAUTHORIZED:
            self._end(answer, unread=False)
            return
        self._write(_bytes_of(answer, last=False))
        self.turn, self.since = PostState.HEAD, self._loop.time()
        if self._came:
            came, self._came = self._came, b""
            transport.resume_reading()
            self._loop.call_soon(self.data_received, came)

    def _end(self, answer: WebhookAnswer, *, unread: bool) -> None:
        """Answer, and end the connection. What is ``unread`` when it is closed resets it."""
        self._forget()
        transport = self._transport
        assert transport is not None
        transport.write(_bytes_of(answer, last=True))
        if unread and transport.can_write_eof():
            transport.pause_reading()
            transport.write_eof()
            self._keeper.lingers(self)
            self._loop.call_later(LINGER_SECONDS, transport.abort)
        else:
            transport.close()

    def _broke(self, error: Exception) -> None:
        """A defect: it ends this connection and no other."""
        log.error("webhook connection failed", exc_info=error)
        self._keeper.listener.unavailable()
        self.drop()

    def _forget(self) -> None:
        self.turn = PostState.ENDED
        self._came = b""
        self._let_go()

    def _let_go(self) -> None:
        self._keeper.holds(self, -len(self._body))
        self._body = bytearray()

    def _pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


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


def _unchunked(framed: bytearray) -> bytes:
    """The body in chunks whose framing has been found to be right."""
    body, at = bytearray(), 0
    while size := int(framed[at : (begins := framed.index(b"\r\n", at) + 2) - 2], 16):
        body += framed[begins : begins + size]
        at = begins + size + 2
    return bytes(body)

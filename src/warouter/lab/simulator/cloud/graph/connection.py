"""One caller of the Graph side: requests read from bytes, and every way to answer them badly.

An own reader of HTTP/1.1, since a server that behaves cannot drop a connection at the right byte.
One request at a time; what comes behind it waits. While the line is silent nobody may call
``answer``, ``half``, ``close`` or ``reset``: see ``GraphLine.when_open``.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple, cast

from warouter.errors import WarouterError
from warouter.http.framing import CHUNKED, END, BodyFraming, Head, read_head
from warouter.lab.simulator.cloud.graph.line import GraphLine

LARGEST = 130 << 20
_GO_ON_S = 0.1
_LARGEST_HEAD = 32 << 10
_RESET = struct.pack("ii", 1, 0)  # linger 0: close with a reset
JSON = "application/json; charset=UTF-8"


class GraphRequest(NamedTuple):
    """A whole request; ``begun`` is when its first byte was read, monotonic and unix seconds."""

    method: str
    target: str
    fields: dict[bytes, bytes]
    body: bytes
    begun: float
    begun_wall: float


Handle = Callable[["GraphConnection", GraphRequest], None]


class GraphConnection(asyncio.Protocol):
    """A connection; ``handle`` gets each request and must answer, reset or close once.

    ``clock`` is the unix time that the answers show; ``admits`` says if it may begin at all.
    """

    def __init__(
        self,
        handle: Handle,
        line: GraphLine[GraphConnection],
        clock: Callable[[], float],
        admits: Callable[[], bool],
    ) -> None:
        self._handle = handle
        self._line = line
        self._clock = clock
        self._admits = admits
        self._transport: asyncio.Transport | None = None
        self._came = bytearray()
        self._head: Head | None = None
        self._body: BodyFraming | None = None
        self._content = bytearray()
        self._begun = (0.0, 0.0)
        self._busy = False
        self._paused = False
        self._closing = False
        self._is_last = False
        self._on_gone: Callable[[], None] | None = None
        self.requests = 0
        self.idle_since = 0.0

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._closing

    @property
    def is_idle(self) -> bool:
        """True between two requests."""
        return not self._busy and not self._came and self._head is None

    def when_gone(self, then: Callable[[], None]) -> None:
        """Call ``then`` if the connection is lost before the present request is answered."""
        self._on_gone = then

    def answer(self, status: int, body: bytes, kind: str = JSON, location: str = "") -> None:
        """The whole answer to the present request; ``location`` is where a redirect leads."""
        self._write(self._head_of(status, len(body), kind, location) + body)
        self._on_gone = None
        self._busy = False
        self.idle_since = time.monotonic()
        if self._is_last:
            self.close()
        elif self._came:
            asyncio.get_running_loop().call_soon(self._read)

    def half(self, status: int, body: bytes) -> None:
        """The head of the answer and half of its body; then the connection is closed."""
        self._on_gone = None
        self._write(self._head_of(status, len(body), JSON) + body[: len(body) // 2])
        self.close()

    def endless(self) -> None:
        """An answer that goes on until the other side has enough."""
        self._on_gone = None
        self._closing = True
        self._write(self._head_of(200, 1 << 40, JSON))
        self._go_on()

    def _go_on(self) -> None:
        if self._transport is not None:
            self._write(b" " * 64)
            asyncio.get_running_loop().call_later(_GO_ON_S, self._go_on)

    def close(self) -> None:
        """Close after what was written."""
        self._on_gone = None
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Close with a reset, at once."""
        self._on_gone = None
        self._closing = True
        sock = self.socket()
        if self._transport is None or sock is None:
            return
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    # Caller

    def socket(self) -> socket.socket | None:
        if self._transport is None or self._transport.is_closing():
            return None
        return cast("socket.socket | None", self._transport.get_extra_info("socket"))

    def pause(self) -> None:
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is None:
            return
        if self._paused and not self._transport.is_closing():
            self._transport.resume_reading()
        self._paused = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._admits():
            self._transport.abort()
            return
        sock = cast("socket.socket", transport.get_extra_info("socket"))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.idle_since = time.monotonic()
        self._line.joined(self)

    def data_received(self, data: bytes) -> None:
        if self.is_idle:
            self._begun = time.monotonic(), time.time()
        self._came += data
        if not self._busy:
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._line.callers.discard(self)
        if self._on_gone is not None:
            self._on_gone()

    # Reading

    def _read(self) -> None:
        try:
            whole = self._busy or self._closing or self._read_request()
        except (WarouterError, ValueError) as error:
            self._busy = True
            self.answer(400, str(error).encode(), "text/plain")
            self.close()
            return
        if whole and not self._busy and not self._closing and self._head is not None:
            self._busy = True
            request = self._request(self._head)
            self.requests += 1
            self._handle(self, request)

    def _read_request(self) -> bool:
        """True once a request has come as a whole."""
        if self._head is None:
            end = self._came.find(END)
            if end < 0:
                if len(self._came) > _LARGEST_HEAD:
                    raise ValueError("the head is too large")
                return False
            self._head = read_head(bytes(self._came[: end + len(END)]))
            del self._came[: end + len(END)]
            self._body = self._head.body()
            if self._head.fields.get(b"expect", b"").lower() == b"100-continue":
                self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = cast("BodyFraming", self._body)
        taken = body.take(bytes(self._came))
        self._content += self._came[:taken]
        del self._came[:taken]
        if len(self._content) > LARGEST:
            raise ValueError("the body is too large")
        return body.ended

    def _request(self, head: Head) -> GraphRequest:
        content = bytes(self._content)
        body = _unchunked(content) if head.length == CHUNKED else content
        method, target, _ = head.line.split(b" ", 2)
        request = GraphRequest(method.decode(), target.decode(), head.fields, body, *self._begun)
        self._is_last = head.fields.get(b"connection", b"").lower() == b"close"
        self._head, self._body, self._content = None, None, bytearray()
        if self._came:
            self._begun = time.monotonic(), time.time()
        return request

    def _head_of(self, status: int, length: int, kind: str, location: str = "") -> bytes:
        to = f"Location: {location}\r\n" if location else ""
        return (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\n{to}"
            f"Date: {_date(int(self._clock()))}\r\nContent-Length: {length}\r\n\r\n"
        ).encode()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


_dates: dict[int, str] = {}


def _date(second: int) -> str:
    """The Date field, written once a second."""
    found = _dates.get(second)
    if found is None:
        _dates.clear()
        found = _dates[second] = formatdate(second, usegmt=True)
    return found


def _unchunked(raw: bytes) -> bytes:
    """The content of a chunked body that was found to be well framed."""
    found, at = bytearray(), 0
    while True:
        end = raw.index(b"\r\n", at)
        size = int(raw[at:end], 16)
        if not size:
            return bytes(found)
        found += raw[end + 2 : end + 2 + size]
        at = end + 2 + size + 2

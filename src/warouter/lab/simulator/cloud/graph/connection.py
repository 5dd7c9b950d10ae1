"""One caller of the Graph side: whole requests, and every way to answer them badly.

A connection of its own, since a server that behaves cannot drop one at the right byte. While the
line is silent nobody may call ``answer``, ``half``, ``close`` or ``reset``: ``GraphLine.when_open``
tells when it is not.
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

from warouter.errors import ApiError
from warouter.http.framing import Head, NotHttp
from warouter.http.server_connection import ENDED, WholeRequestConnection
from warouter.lab.simulator.cloud.graph.line import GraphLine

LARGEST = 130 << 20
_GO_ON_S = 0.1
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


class GraphConnection(WholeRequestConnection):
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
        super().__init__()
        self._handle = handle
        self._line = line
        self._clock = clock
        self._admits = admits
        self._begun = (0.0, 0.0)
        self._on_gone: Callable[[], None] | None = None
        self.requests = 0

    @property
    def is_open(self) -> bool:
        return self._wire is not None and self.turn is not ENDED

    def when_gone(self, then: Callable[[], None]) -> None:
        """Call ``then`` if the connection is lost before the present request is answered."""
        self._on_gone = then

    def answer(self, status: int, body: bytes, kind: str = JSON, location: str = "") -> None:
        """The whole answer to the present request; ``location`` is where a redirect leads."""
        self._write(self._head_of(status, len(body), kind, location) + body)
        self._on_gone = None
        if self._last:
            self.close()
        else:
            self._next(self._now())

    def half(self, status: int, body: bytes) -> None:
        """The head of the answer and half of its body; then the connection is closed."""
        self._write(self._head_of(status, len(body), JSON) + body[: len(body) // 2])
        self.close()

    def endless(self) -> None:
        """An answer that goes on until the other side has enough."""
        self._on_gone = None
        self._stop()
        self._write(self._head_of(200, 1 << 40, JSON))
        self._say_more()

    def _say_more(self) -> None:
        if self._wire is not None:
            self._write(b" " * 64)
            asyncio.get_running_loop().call_later(_GO_ON_S, self._say_more)

    def close(self) -> None:
        """Close after what was written."""
        self._on_gone = None
        self.force_close()

    def reset(self) -> None:
        """Close with a reset, at once."""
        self._on_gone = None
        sock = self.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.drop()

    # LineCaller

    def socket(self) -> socket.socket | None:
        if self._wire is None or self._wire.is_closing():
            return None
        return cast("socket.socket | None", self._wire.get_extra_info("socket"))

    def pause(self) -> None:
        self._full = True
        self._hold_back()

    def resume(self) -> None:
        self._full = False
        self._hold_back()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._admits():
            self.drop()
            return
        sock = cast("socket.socket", transport.get_extra_info("socket"))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._line.joined(self)

    def eof_received(self) -> bool:
        """A caller that closes has gone: it hears no answer."""
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._line.callers.discard(self)
        if self._on_gone is not None:
            self._on_gone()

    # WholeRequestConnection

    def _malformed(self, error: ApiError) -> None:
        self._last = True
        self.answer(400, str(error).encode(), "text/plain")

    def _begin(self, data: bytes) -> None:
        if not self._came:
            self._begun = time.monotonic(), time.time()
        super()._begin(data)

    def _keeps(self, size: int) -> bool:
        if len(self._content) > LARGEST:
            raise NotHttp("the body is too large")
        return True

    def _asked(self, head: Head, body: bytes) -> None:
        method, target, _ = head.line.decode("ascii").split()
        self.requests += 1
        self._handle(self, GraphRequest(method, target, head.fields, body, *self._begun))

    def _head_of(self, status: int, length: int, kind: str, location: str = "") -> bytes:
        to = f"Location: {location}\r\n" if location else ""
        return (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\n{to}"
            f"Date: {_date(int(self._clock()))}\r\nContent-Length: {length}\r\n\r\n"
        ).encode()


_dates: dict[int, str] = {}


def _date(second: int) -> str:
    """The Date field, written once a second."""
    found = _dates.get(second)
    if found is None:
        _dates.clear()
        found = _dates[second] = formatdate(second, usegmt=True)
    return found

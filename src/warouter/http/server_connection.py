"""A connection of an HTTP server: reads one request at a time, and leaves open what answers it.

``framing`` finds where each request begins and ends. What comes behind one is not looked at before
its answer has been written, and while some of it waits here no more is read. Whatever is no HTTP
ends the connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from enum import Enum
from typing import Any, cast

from warouter.errors import ApiError
from warouter.http.framing import (
    END,
    BodyFraming,
    Head,
    Sized,
    check_begun,
    read_head,
    without_blank_lines,
)

log = logging.getLogger(__name__)

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ConnectionState(Enum):
    """State of a connection. At most one request is under way."""

    HEAD = 0  # the next request is waited for, or the rest of its head
    HOLD = 1  # the rest of a body that the fast path will take
    BODY = 2  # the head is accepted, the rest of its body is waited for
    ANSWER = 3  # a whole request is with whoever answers it
    DRAIN = 4  # it is answered already, and the rest of its body is dropped
    NEXT = 5  # answered; what came behind it is read in a turn of the loop of its own
    ENDED = 6  # nothing more is read


# Python 3.11 makes a search of each ConnectionState.X: too slow to ask ten times a request.
HEAD, HOLD, BODY, ANSWER, DRAIN, NEXT, ENDED = ConnectionState


class ServerConnection(asyncio.Protocol):
    """One connection. ``turn`` is its state, ``since`` when it last began to wait for a request or
    for a body, in the loop's time, and ``hung_up`` whether the client has ended it, or its half.
    """

    def __init__(self, sock: socket.socket | None) -> None:
        loop = asyncio.get_running_loop()
        self._now, self._soon = loop.time, loop.call_soon
        self.turn = HEAD
        self.since = loop.time()
        self.hung_up = False
        self._sock = sock  # until it has shaken hands
        self._wire: asyncio.Transport | None = None  # from then on, until it is lost
        self._came = b""  # of the next request; in HOLD, of the present one
        self._head: Head | None = None  # of the request under way, or of the last one
        self._written = b""  # the head as it came
        self._body: BodyFraming = Sized(0)
        self._full = False  # no more is taken for now
        self._reading = True

    @property
    def is_idle(self) -> bool:
        """True if nothing has come that is not answered."""
        return self.turn is HEAD and not self._came

    @property
    def gone(self) -> bool:
        """True if nothing can be written."""
        return self._wire is None or self._wire.is_closing()

    def force_close(self) -> None:
        """Read nothing more, and close after what was written; a handshake fails."""
        self._stop()
        if self._wire is not None:
            self._wire.close()
        elif self._sock is not None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def drop(self) -> None:
        """End the connection at once."""
        if self._wire is None:
            self.force_close()
        else:
            self._stop()
            self._wire.abort()

    def broke(self, error: Exception) -> None:
        """A defect: end this connection, and no other."""
        log.error("connection failed", exc_info=error)
        self.force_close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sock, self._wire = None, cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Process what came. An error ends this connection and no other."""
        try:
            self._take(data)
            self._hold_back()
        except ApiError as error:
            self._malformed(error)
        except Exception as error:
            self.broke(error)

    def eof_received(self) -> Any:
        """The client sends no more. Complete requests are still answered,
        except over TLS, where both directions end together. The return value
        tells asyncio whether to keep the connection (aiohttp's type has none).
        """
        self.hung_up = True
        is_asked, wire = self.turn in (ANSWER, NEXT), self._wire
        return is_asked and wire is not None and wire.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.hung_up = True
        self._stop()
        self._wire = None

    # What came, request by request

    def _malformed(self, error: ApiError) -> None:
        """Answer what is no HTTP, and end the connection."""
        raise NotImplementedError

    def _take(self, data: bytes) -> None:
        turn = self.turn
        if turn is HEAD:
            self._begin(data)
        elif turn is ANSWER or turn is NEXT:
            self._came += data
        elif turn is not ENDED:
            self._feed(data)

    def _begin(self, data: bytes) -> None:
        """Begin the next request, once its ``_next_head`` is complete."""
        raise NotImplementedError

    def _feed(self, data: bytes) -> None:
        """Take the next bytes of the body, and keep what is behind its end."""
        raise NotImplementedError

    def _next_head(self, data: bytes) -> Head | None:
        """The head of the next request, None as long as some of it is to come."""
        before = len(self._came)
        self._came += data
        if self._came.startswith(b"\r\n"):  # old clients end a body with it
            self._came, before = without_blank_lines(self._came), 0
        end = self._came.find(END, max(0, before - len(END)))
        if end < 0:
            if self._came:
                check_begun(self._came, before)
            return None
        written = self._came[: end + len(END)]
        if self._head is None or written != self._written:  # most write the same one each time
            self._head, self._written = read_head(written), written
        return self._head

    def _next(self, now: float) -> None:
        """A request is done: continue with the bytes behind it in a turn of their own."""
        self.since = now
        if self._came:
            self.turn = NEXT
            self._soon(self._go_on)
        elif self.hung_up:
            self.force_close()
        else:
            self._wait()

    def _go_on(self) -> None:
        if self.turn is NEXT and not self.gone:
            came, self._came = self._came, b""
            self.turn = HEAD
            ServerConnection.data_received(self, came)
            if self.hung_up and self.turn not in (ANSWER, ENDED):
                self.force_close()  # the rest of it never comes

    def _wait(self) -> None:
        """Wait for the next request."""
        self.turn = HEAD

    def _stop(self) -> None:
        """Read nothing more."""
        self.turn, self._came = ENDED, b""

    def _write(self, data: bytes) -> None:
        if self._wire is not None:
            self._wire.write(data)

    def _hold_back(self) -> None:
        """Read no more than is taken."""
        wanted = not self._full and (not self._came or self.turn in (HEAD, HOLD))
        if wanted == self._reading or self._wire is None or self._wire.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._wire.resume_reading()
        else:
            self._wire.pause_reading()


class WholeRequestConnection(ServerConnection):
    """A connection whose requests are answered as a whole, once their bodies have come."""

    def __init__(self, sock: socket.socket | None = None) -> None:
        super().__init__(sock)
        self._content = bytearray()  # of the body, in its framing
        self._last = False  # the answer to this request is the last one

    def _accepts(self, head: Head, came: int) -> bool:
        """True if the body is to be read, of which ``came`` bytes are here; False once answered."""
        return True

    def _keeps(self, size: int) -> bool:
        """Count ``size`` more bytes of the body; False if they are too many, once answered."""
        return True

    def _asked(self, head: Head, body: bytes) -> None:
        """Answer a request, now or later."""
        raise NotImplementedError

    def _begin(self, data: bytes) -> None:
        head = self._next_head(data)
        if head is None:
            return
        came, self._came = self._came[head.size :], b""
        if not self._accepts(head, len(came)):
            return
        closes = head.fields.get(b"connection", b"").lower() == b"close"
        self._last = closes or head.line.endswith(b" HTTP/1.0\r\n")
        if not came and head.fields.get(b"expect", b"").lower() == b"100-continue":
            self._write(_CONTINUE)
        self._body, self.turn, self.since = head.body(), BODY, self._now()
        self._feed(came)

    def _feed(self, data: bytes) -> None:
        size = self._body.take(data)
        self._content += data[:size]
        if not self._keeps(size) or not self._body.ended:
            return
        self._came, self.turn = data[size:], ANSWER
        body = self._body.content(self._content)
        self._let_go()
        assert self._head is not None
        self._asked(self._head, body)

    def _let_go(self) -> None:
        """Forget what has come of the body."""
        self._content = bytearray()

    def _stop(self) -> None:
        super()._stop()
        self._let_go()

"""One client's HTTP connection: finds where requests begin
and end, and hands each to the fast path or to aiohttp.

``framing`` finds where each request begins and ends. A plain message is answered by the fast path;
of anything else aiohttp is given the bytes of that one request, as they come, and never one behind
its end. What follows is not looked at before the answer has left, so no two parsers hold parts of
one stream. What is no HTTP is answered here, in the product's envelope, and ends the connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from contextlib import suppress
from enum import Enum
from typing import Any, Protocol, cast

from aiohttp import web

from warouter.errors import ApiError, HeadTooLarge
from warouter.http.envelope import ErrorResponses
from warouter.http.framing import (
    END,
    BodyFraming,
    Head,
    NotHttp,
    Sized,
    check_begun,
    read_head,
    without_blank_lines,
)
from warouter.http.pace import (
    HEAD_BYTES,
    HEAD_FIELDS,
    TARGET_BYTES,
    ConnectionLimits,
    ConnectionProgress,
)
from warouter.http.plain import Client, Reader
from warouter.net.sockets import heard, unheard

log = logging.getLogger(__name__)

LINGER_SECONDS = 5.0  # for the rest of a body that nobody wants, before its connection is closed
OWED_LOOKS = 3  # aiohttp begins what it is given within three turns of the loop, not a second
_NEVER_SECONDS = 365 * 86_400.0  # aiohttp ends no connection for being idle: sweep() does


class ConnectionState(Enum):
    """State of a connection. At most one request is under way."""

    HEAD = 0  # the next request is waited for, or the rest of its head
    HOLD = 1  # the rest of a body that the fast path will take
    FEED = 2  # aiohttp has a request and gets the rest of its body
    ANSWER = 3  # a whole request is with aiohttp or the fast path
    DRAIN = 4  # aiohttp has answered, and drops the rest of the body
    NEXT = 5  # answered; what came behind it is read in a turn of the loop of its own
    ENDED = 6  # nothing more is read


# Python 3.11 makes a search of each member: too slow for what is asked ten times a request.
_HEAD, _HOLD, _FEED, _ANSWER, _DRAIN, _NEXT, _ENDED = ConnectionState


class Door(Protocol):
    """The parts of the server that a connection uses."""

    fast: Reader | None
    words: ErrorResponses
    dropped: Counter[str]  # connections that were ended, by the reason

    @property
    def leaving(self) -> bool:
        """True once each answer is the last of its connection."""
        ...

    def lost(self, connection: Connection) -> None: ...


class Connection(web.RequestHandler):
    """One connection of a client."""

    def __init__(self, door: Door, server: web.Server, sock: socket.socket | None = None) -> None:
        loop = asyncio.get_running_loop()
        # A compressed body could be a bomb; the application refuses it by its header.
        super().__init__(
            server,
            loop=loop,
            auto_decompress=False,
            keepalive_timeout=_NEVER_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=TARGET_BYTES,
            max_field_size=HEAD_BYTES,
            max_headers=HEAD_FIELDS,
        )
        self._door = door
        self._fast: Reader | None = door.fast
        self._client: Client | None = None
        if self._fast is not None:
            self._client = self._fast.client(self, self.data_received)
            # The loop calls it for each read, and what it does not take comes to the method.
            vars(self)["data_received"] = self._client.data_received
        self._now, self._soon = loop.time, loop.call_soon
        self.pace = ConnectionProgress(loop.time())
        self._is_new = True  # the fast path has taken nothing of it
        self._sock = sock  # until it has shaken hands
        self._wire: asyncio.Transport | None = None  # until it is lost: aiohttp's goes with close()
        self._turn = _HEAD
        self._came = b""  # of the next request; in HOLD, of the present one
        self._head: Head | None = None  # of the request under way, or of the last one
        self._written = b""  # the head as it came
        self._body: BodyFraming = Sized(0)
        self._full = False  # aiohttp takes no more of the body for now
        self._owed_looks: int | None = None  # since aiohttp got a request that it has not begun
        self._answering = False  # aiohttp's answer has begun
        self._hung_up = False  # the client sends no more
        self._last = False  # in DRAIN: nothing comes behind it
        self._reading = True
        self._idle_since = loop.time()

    @property
    def idle(self) -> bool:
        """True if every request that came has been answered."""
        return self._turn is _HEAD

    def idle_for(self, now: float) -> float:
        """Seconds for which nothing has come that is not answered, nor of a handshake's words.

        They count half until its first request: it was made for one, by a client that may be slow.
        """
        if self.state != "idle" or (self._sock is not None and heard(self._sock)):
            return 0.0
        about_to_ask = self._sock is None and not self.pace.rests
        return (now - self._idle_since) * (0.5 if about_to_ask else 1.0)

    @property
    def idle_since(self) -> float | None:
        """Since when it has asked nothing, once it has asked; None as long as it may be owed an
        answer, or owe the rest of a request.
        """
        rests = self._turn is _HEAD and not self._came and self.pace.rests
        return self._idle_since if rests else None

    @property
    def asking(self) -> bool:
        """True while a request is under way whose body has not ended."""
        return self._turn in (_HOLD, _FEED)

    @property
    def state(self) -> str:
        """State under the name that ``web_requests`` gives it."""
        if self._turn is _HEAD and not self._came:
            return "idle"
        return "read" if self.idle or self.asking else "handle-request"

    @property
    def gone(self) -> bool:
        return self.transport is None or self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sock, self._wire = None, cast("asyncio.Transport", transport)
        self._idle_since = self._now()
        super().connection_made(transport)
        if self._turn is _ENDED:
            self.force_close()  # the connection was ended during its handshake
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Read what the fast path's client has not taken."""
        if data:
            self._guarded(data)
        else:
            super().data_received(data)  # aiohttp's own: its parser goes on with what it has

    def asked(self, now: float) -> None:
        """The fast path took a request and will answer it."""
        self._turn = _ANSWER
        if self._is_new:  # later ones leave nothing behind that would have to be noted
            self._is_new = False
            self.pace.asked(now)

    def answer(self, answer: bytes, now: float, last: bool) -> bool:
        """Write the answer to a request that the fast path took; False if the client has gone."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return False
        transport.write(answer)
        if last:
            self.force_close()
        elif self._came or self._hung_up:
            self._next(now)
        else:
            self._idle_since = now
            self._wait()
        return True

    def broke(self, error: Exception) -> None:
        """A defect: end this connection, and no other."""
        log.error("connection failed", exc_info=error)
        self.force_close()

    # What came, request by request

    def _guarded(self, data: bytes) -> None:
        """Process what came. An error ends this connection and no other."""
        try:
            self._take(data)
            self._hold_back()
        except ApiError as error:
            if isinstance(error, HeadTooLarge):
                self._door.dropped["head"] += 1
            log.debug("request refused", extra={"reason": error.details})
            self.refuse(error)
        except Exception as error:
            self.broke(error)

    def _take(self, data: bytes) -> None:
        turn = self._turn
        if turn is _HEAD:
            self._begin(data)
        elif turn is _FEED or turn is _DRAIN:
            self._feed(data)
        elif turn is _HOLD:
            self.pace.came(len(data), self._now(), waiting=False)
            self._came += data
            self._take_whole()
        elif turn is not _ENDED:
            self._came += data

    def _begin(self, data: bytes) -> None:
        """Begin the next request once its head is complete."""
        before = len(self._came)
        self._came += data
        if self._came.startswith(b"\r\n"):  # old clients end a body with it
            self._came, before = without_blank_lines(self._came), 0
        if not self._came:
            return
        end = self._came.find(END, max(0, before - len(END)))
        if end < 0:
            check_begun(self._came, before)
            self.pace.came(len(self._came) - before, self._now(), waiting=True)
            return
        written = self._came[: end + len(END)]
        if self._head is None or written != self._written:  # most write the same one each time
            self._head, self._written = read_head(written), written
        head = self._head
        self.pace.asked(self._now())
        fast = self._fast
        if fast is None or self.writing_paused or not fast.plain(head):
            self._give()
            return
        self._turn = _HOLD
        self._take_whole()

    def _take_whole(self) -> None:
        """Offer a complete request to the fast path; what it declines goes to aiohttp."""
        head, fast, client = self._head, self._fast, self._client
        assert head is not None
        assert fast is not None
        assert client is not None
        size = head.size + head.length
        if len(self._came) < size:
            if not fast.knows(head):
                self._give()
            return
        request, behind = self._came[:size], self._came[size:]
        if client.take(head, request):
            self._came = behind
        else:
            self._give()

    def _give(self) -> None:
        """Give aiohttp the head of a request, and the part of its body that is here."""
        assert self._head is not None
        came, self._came = self._came, b""
        self._body, self._turn, self._owed_looks = self._head.body(), _FEED, 0
        self._feed(came, self._head.size)

    def _feed(self, data: bytes, head: int = 0) -> None:
        """Give aiohttp the next bytes of this request (``head`` of
        them before the body), and none of the next request.
        """
        size = head + self._body.take(data[head:])
        self.pace.came(size - head, self._now(), waiting=False)
        super().data_received(data[:size])
        if not self._body.ended:
            return
        self._came = data[size:]
        if self._turn is _FEED:
            self._turn = _ANSWER
        elif self._last:
            self._turn = _ENDED
        else:
            self._answering = False
            self._next(self._now())

    def _next(self, now: float) -> None:
        """A request is done: continue with the bytes behind it in a turn of their own."""
        self._idle_since = now
        if self._came:
            self._turn = _NEXT
            self._soon(self._go_on)
        elif self._hung_up:
            self.force_close()
        else:
            self._wait()

    def _wait(self) -> None:
        """Wait for the next request: it may be one for the fast path's client."""
        self._turn = _HEAD
        if self._client is not None:
            self._client.waits = not self.writing_paused

    def _end(self) -> None:
        """Read nothing more."""
        self._turn = _ENDED
        if self._client is not None:
            self._client.waits = False

    def _go_on(self) -> None:
        if self._turn is _NEXT and not self.gone:
            came, self._came = self._came, b""
            self._turn = _HEAD
            self._guarded(came)
            if self._hung_up and self._turn not in (_ANSWER, _ENDED):
                self.force_close()  # the rest of it never comes

    def eof_received(self) -> Any:
        """The client sends no more. Complete requests are still answered,
        except over TLS, where both directions end together. The return value
        tells asyncio whether to keep the connection (aiohttp's type has none).
        """
        self._hung_up = True
        wire = self._wire
        is_asked = self._turn in (_ANSWER, _NEXT)
        return is_asked and wire is not None and wire.get_extra_info("sslcontext") is None

    def _hold_back(self) -> None:
        """Read no more than the consumer of the body takes."""
        wanted = not self._full and (not self._came or self._turn in (_HEAD, _HOLD))
        if wanted != self._reading and self.transport is not None:
            self._reading = wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._client is not None:
            self._client.waits = False  # a client that does not read gets no more answers

    # What aiohttp tells

    def pause_reading(self) -> None:
        """aiohttp asks for a pause: the handler is slower than its body arrives."""
        self._full, self._reading = True, False
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp takes the body again; it says so after every read, also if it never paused."""
        if not self._full:
            return
        self._full = False
        super().resume_reading(resume_parser)
        self._reading = not self._full
        self._hold_back()

    def begun(self) -> None:
        """Called when aiohttp begins the request that it was given."""
        self._owed_looks = None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        self._answering = True
        if isinstance(resp, web.HTTPException):
            # Of a request that the application never saw, as its Expect is unknown; or what the
            # console answers by raising.
            resp = self._door.words.of_framework(resp)
        if resp is not None and (self._door.leaving or self._unsure):
            resp.force_close()  # said in its header, so that the client asks elsewhere next
        response, reset = await super().finish_response(request, resp, start_time)
        self._answered(is_last=reset or not response.keep_alive)
        return response, reset

    @property
    def _unsure(self) -> bool:
        """The answer came before the body ended: close the connection after it.
        A client that waits for ``100 Continue`` may send its body or not, and
        aiohttp would read what follows a declined upgrade as another protocol.
        """
        if self._turn is not _FEED or self._head is None:
            return False
        return b"expect" in self._head.fields or b"upgrade" in self._head.fields

    def _answered(self, *, is_last: bool) -> None:
        """aiohttp has written its answer."""
        if self._turn is _FEED:
            self._turn, self._last = _DRAIN, is_last
        elif self._turn is not _ANSWER:
            self.force_close()  # ended meanwhile, or it answered what it was not asked
        elif is_last:
            self._turn = _ENDED
        else:
            self._answering = False
            self._next(self._now())
            self._hold_back()

    def close(self) -> None:
        self._end()
        super().close()

    def force_close(self) -> None:
        self._end()
        super().force_close()
        if self._sock is not None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)  # its handshake fails

    def connection_lost(self, exc: BaseException | None) -> None:
        self._end()
        self._wire = None
        vars(self).pop("data_received", None)  # else both keep each other alive
        self._client = None
        super().connection_lost(exc)
        self._door.lost(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        error: ApiError
        if status < 500:
            log.debug("request refused by the parser", extra={"reason": message})
            error = NotHttp("the request is not valid HTTP/1.1")
        else:
            log.error("request failed outside the application", exc_info=exc)
            error = ApiError("an internal error; the log has it")
        response = self._door.words.failure(error)
        response.set_status(status)
        response.force_close()
        return response

    # How slow it is

    def look(self, limits: ConnectionLimits, now: float) -> str:
        """The reason to end a connection that is too slow, ``idle``
        if it has asked nothing for long, else "".
        """
        wire = self._wire
        if wire is None:
            return ""
        if self._turn is _ENDED:
            self.pace.asked(now)  # the client has only to read its answer now
        if not self._reading:
            self.pace.held_back(now)
        sock = wire.get_extra_info("socket")
        taken, waiting = unheard(sock) if sock is not None else (0, 0)
        self.pace.left(taken, waiting, now)
        fault = self.pace.fault(limits, now, reading=self.asking)
        is_idle = self._turn is _HEAD and not self._came
        if not fault and is_idle and now - self._idle_since >= limits.idle_seconds:
            return "idle"
        return fault

    def is_forgotten(self) -> bool:
        """True if aiohttp started no handler for a request that it
        was given, in several looks in a row.
        """
        if self._owed_looks is None or self._turn is _ENDED:
            return False
        self._owed_looks += 1
        return self._owed_looks >= OWED_LOOKS

    def abort(self) -> None:
        """End the connection at once, without an answer."""
        if self._wire is not None:
            self._wire.abort()

    def refuse(self, error: ApiError) -> None:
        """Answer with an error without a request, and close."""
        if not self._answering and not self.gone:
            assert self.transport is not None
            self.transport.write(self._door.words.alone(error))
        self.force_close()

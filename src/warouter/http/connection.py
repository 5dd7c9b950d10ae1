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
from typing import Protocol

from aiohttp import web

from warouter.errors import ApiError, HeadTooLarge
from warouter.http.envelope import ErrorResponses
from warouter.http.framing import NotHttp
from warouter.http.pace import (
    HEAD_BYTES,
    HEAD_FIELDS,
    TARGET_BYTES,
    ConnectionLimits,
    ConnectionProgress,
)
from warouter.http.plain import Client, Reader
from warouter.http.server_connection import ANSWER, BODY, DRAIN, ENDED, HEAD, HOLD, ServerConnection
from warouter.net.sockets import heard, unheard

log = logging.getLogger(__name__)

LINGER_SECONDS = 5.0  # for the rest of a body that nobody wants, before its connection is closed
OWED_LOOKS = 3  # aiohttp begins what it is given within three turns of the loop, not a second
_NEVER_SECONDS = 365 * 86_400.0  # aiohttp ends no connection for being idle: sweep() does


class Door(Protocol):
    """The parts of the server that a connection uses."""

    fast: Reader | None
    words: ErrorResponses
    dropped: Counter[str]  # connections that were ended, by the reason

    @property
    def leaving(self) -> bool:
        """True once each answer is the last of its connection."""

    def lost(self, connection: Connection) -> None: ...


class Connection(ServerConnection, web.RequestHandler):
    """One connection of a client."""

    def __init__(self, door: Door, server: web.Server, sock: socket.socket | None = None) -> None:
        ServerConnection.__init__(self, sock)
        # A compressed body could be a bomb; the application refuses it by its header.
        web.RequestHandler.__init__(
            self,
            server,
            loop=asyncio.get_running_loop(),
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
        self.pace = ConnectionProgress(self.since)
        self._is_new = True  # the fast path has taken nothing of it
        self._owed_looks: int | None = None  # since aiohttp got a request that it has not begun
        self._answering = False  # aiohttp's answer has begun
        self._last = False  # in DRAIN: nothing comes behind it

    def idle_for(self, now: float) -> float:
        """Seconds for which nothing has come that is not answered, nor of a handshake's words.

        They count half until its first request: it was made for one, by a client that may be slow.
        """
        if self.state != "idle" or (self._sock is not None and heard(self._sock)):
            return 0.0
        about_to_ask = self._sock is None and not self.pace.rests
        return (now - self.since) * (0.5 if about_to_ask else 1.0)

    @property
    def idle_since(self) -> float | None:
        """Since when it has asked nothing, once it has asked; None as long as it may be owed an
        answer, or owe the rest of a request.
        """
        return self.since if self.is_idle and self.pace.rests else None

    @property
    def number(self) -> str:
        """The name of the number that the path of the present request had, "" without one."""
        return "" if self._head is None else self._head.number.decode()

    @property
    def asking(self) -> bool:
        """True while a request is under way whose body has not ended."""
        return self.turn in (HOLD, BODY)

    @property
    def state(self) -> str:
        """State under the name that ``web_requests`` gives it."""
        if self.is_idle:
            return "idle"
        return "read" if self.turn is HEAD or self.asking else "handle-request"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.since = self._now()
        web.RequestHandler.connection_made(self, transport)
        if self.turn is ENDED:
            self.force_close()  # the connection was ended during its handshake
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Read what the fast path's client has not taken."""
        if data:
            super().data_received(data)
        else:  # aiohttp's own: its parser goes on with what it has
            web.RequestHandler.data_received(self, data)

    def asked(self, now: float) -> None:
        """The fast path took a request and will answer it."""
        self.turn = ANSWER
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
        elif self._came or self.hung_up:
            self._next(now)
        else:
            self.since = now
            self._wait()
        return True

    # What came, request by request

    def _malformed(self, error: ApiError) -> None:
        if isinstance(error, HeadTooLarge):
            self._door.dropped["head"] += 1
        log.debug("request refused", extra={"reason": error.details})
        self.refuse(error)

    def _begin(self, data: bytes) -> None:
        head = self._next_head(data)
        if head is None:
            if self._came:
                self.pace.came(len(data), self._now(), waiting=True)
            return
        self.pace.asked(self._now())
        fast = self._fast
        if fast is None or self.writing_paused or not fast.plain(head):
            self._give()
            return
        self.turn = HOLD
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
        head, came = self._head, self._came
        assert head is not None
        self._came, size = b"", head.size
        if head.number:
            size -= came.index(b"\r\n") + 2 - len(head.line)
            came = head.line + came[head.size - size + len(head.line) :]
        self._body, self.turn, self._owed_looks = head.body(), BODY, 0
        self._pass_on(came, size)

    def _feed(self, data: bytes) -> None:
        if self.turn is HOLD:
            self.pace.came(len(data), self._now(), waiting=False)
            self._came += data
            self._take_whole()
        else:
            self._pass_on(data)

    def _pass_on(self, data: bytes, head: int = 0) -> None:
        """Give aiohttp the next bytes of this request (``head`` before the body), no others."""
        size = head + self._body.take(data[head:])
        self.pace.came(size - head, self._now(), waiting=False)
        web.RequestHandler.data_received(self, data[:size])
        if not self._body.ended:
            return
        self._came = data[size:]
        if self.turn is BODY:
            self.turn = ANSWER
        elif self._last:
            self._stop()
        else:
            self._answering = False
            self._next(self._now())

    def _wait(self) -> None:
        """Wait for the next request: it may be one for the fast path's client."""
        self.turn = HEAD
        if self._client is not None:
            self._client.waits = not self.writing_paused

    def _stop(self) -> None:
        super()._stop()
        if self._client is not None:
            self._client.waits = False

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
        if self.turn is not BODY or self._head is None:
            return False
        return b"expect" in self._head.fields or b"upgrade" in self._head.fields

    def _answered(self, *, is_last: bool) -> None:
        """aiohttp has written its answer."""
        if self.turn is BODY:
            self.turn, self._last = DRAIN, is_last
        elif self.turn is not ANSWER:
            self.force_close()  # ended meanwhile, or it answered what it was not asked
        elif is_last:
            self._stop()
        else:
            self._answering = False
            self._next(self._now())
            self._hold_back()

    def close(self) -> None:
        self._stop()
        super().close()

    def force_close(self) -> None:
        super().force_close()
        web.RequestHandler.force_close(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        vars(self).pop("data_received", None)  # else both keep each other alive
        self._client = None
        web.RequestHandler.connection_lost(self, exc)
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
        """The reason to end a connection that is too slow, ``idle`` if it asks nothing, else ""."""
        wire = self._wire
        if wire is None:
            return ""
        if self.turn is ENDED:
            self.pace.asked(now)  # the client has only to read its answer now
        if not self._reading:
            self.pace.held_back(now)
        sock = wire.get_extra_info("socket")
        taken, waiting = unheard(sock) if sock is not None else (0, 0)
        self.pace.left(taken, waiting, now)
        fault = self.pace.fault(limits, now, reading=self.asking)
        if not fault and self.is_idle and now - self.since >= limits.idle_seconds:
            return "idle"
        return fault

    def is_forgotten(self) -> bool:
        """True if aiohttp started no handler for its request, in several looks in a row."""
        if self._owed_looks is None or self.turn is ENDED:
            return False
        self._owed_looks += 1
        return self._owed_looks >= OWED_LOOKS

    def refuse(self, error: ApiError) -> None:
        """Answer with an error without a request, and close."""
        if not self._answering and not self.gone:
            self._write(self._door.words.alone(error))
        self.force_close()

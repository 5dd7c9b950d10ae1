"""The HTTP connection: aiohttp's, with the product's envelope for what its parser refuses.

A request line, header or framing that is no HTTP never reaches the application; aiohttp would
answer in plain text. The connection is closed after it, so nothing behind it is read as a request.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter

from aiohttp import web

from warouter import SERVER
from warouter.api.envelope import error_body, error_fields, failure
from warouter.api.fastpath import FIRST_LINE, FastPath, Reader
from warouter.api.pace import HEAD_BYTES, HEAD_FIELDS, TARGET_BYTES, Gate, Limits, Pace
from warouter.errors import ApiError, GenericError, HeadTooLarge, Overloaded, RequestTooSlow
from warouter.sockets import unheard

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
LINGER_SECONDS = 5.0  # for the rest of a body that nobody wants, before its connection is closed


class NotHttp(GenericError):
    """The bytes that came are no request that may be answered otherwise."""


def check_head(request: web.Request) -> None:
    """HeadTooLarge (431) for a block of fields above 16 KiB. The parser bounds each one alone."""
    size = sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
    if size > HEAD_BYTES:
        raise HeadTooLarge(f"the header is larger than {HEAD_BYTES} bytes")


class Connection(web.RequestHandler):
    """One connection of a client."""

    def __init__(self, connections: Connections, server: web.Server) -> None:
        # A compressed body could be a bomb; the application refuses it by its header.
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            auto_decompress=False,
            keepalive_timeout=connections.limits.idle_seconds,
            lingering_time=LINGER_SECONDS,
            max_line_size=TARGET_BYTES,
            max_field_size=TARGET_BYTES,
            max_headers=HEAD_FIELDS,
        )
        self._connections = connections
        self.pace = Pace(self._loop.time())
        self._fast = Reader(connections.fast) if connections.fast is not None else None
        self.head_size = 0
        self._fast_asked = False  # the fast path has a request that is not answered
        self._behind = b""  # came after that request

    @property
    def idle(self) -> bool:
        """Nothing was asked that is not answered."""
        # Without one a request is under way, or aiohttp has not begun to wait.
        waiter = self._waiter
        waiting = self._request_count == 0 if waiter is None else not waiter.done()
        return waiting and not self._fast_asked and not self._fast_held

    @property
    def asking(self) -> bool:
        """A request is under way whose body has not ended."""
        request = self._current_request
        return self._fast_held or (request is not None and not request.content.is_eof())

    @property
    def gone(self) -> bool:
        return self.transport is None or self.transport.is_closing()

    @property
    def leaving(self) -> bool:
        return self._connections.leaving

    def data_received(self, data: bytes) -> None:
        fast = self._fast
        if (  # nearly all that comes, with none of the steps that it does not need
            fast is not None
            and not self._fast_asked
            and not fast.held
            and data.startswith(FIRST_LINE)
            and self._free
            and fast.take_known(data, self)
        ):
            self.pace.asked(self._loop.time())
            return
        for read in self._left_by_fast_path(data):
            self._to_aiohttp(read)

    def asked(self) -> None:
        """The fast path has taken a request."""
        self._fast_asked = True

    def answer(self, answer: bytes, now: float, *, last: bool) -> None:
        """The answer to what the fast path has asked."""
        self._fast_asked = False
        if self.transport is None or self.transport.is_closing():
            return  # the client has gone
        self.transport.write(answer)
        self._next_keepalive_close_time = now + self._keepalive_timeout
        if last:
            self.force_close()
        elif self._behind:
            behind, self._behind = self._behind, b""
            self.transport.resume_reading()
            self.data_received(behind)

    def _left_by_fast_path(self, data: bytes) -> list[bytes]:
        """Give the fast path what it takes; the reads that are returned are aiohttp's."""
        if self._fast is None:
            return [data]
        if self._fast_asked:
            self._behind += data
            if self.transport is not None:
                self.transport.pause_reading()
            return []
        held = self._fast.held
        if not held and not (data.startswith(FIRST_LINE) and self._free):
            return [data]
        left = self._fast.read(data, self)
        if not left:
            now = self._loop.time()
            if held:
                self.pace.came(len(data), now, waiting=False)
            else:
                self.pace.asked(now)
        return left

    @property
    def _fast_held(self) -> bool:
        return self._fast is not None and self._fast.held

    @property
    def _free(self) -> bool:
        """Nothing is under way here, no answer waits to leave, and none was the last one."""
        waiter = self._waiter
        return not (
            waiter is None
            or waiter.done()
            or self._messages
            or self.pace.head_bytes
            or self._paused
            or self._upgraded
            or self._close
            or self._force_close
        )

    def _process_keepalive(self) -> None:
        """aiohttp's end of an idle connection. It does not see what the fast path has asked."""
        if self._fast_asked:
            later = self._loop.time() + self.keepalive_timeout
            self._keepalive_handle = self._loop.call_at(later, self._process_keepalive)
        else:
            super()._process_keepalive()

    def _to_aiohttp(self, data: bytes) -> None:
        now = self._loop.time()
        waiting, before = self.idle and not self._messages, self._request_count
        self.pace.came(len(data), now, waiting=waiting)
        super().data_received(data)
        if self._request_count != before:
            self.pace.asked(now)
        elif waiting and self.pace.head_bytes > HEAD_BYTES + TARGET_BYTES:
            self._connections.dropped["head"] += 1
            self.refuse(HeadTooLarge(f"the header is larger than {HEAD_BYTES} bytes"))

    def look(self, limits: Limits, now: float) -> str:
        """What the client is too slow at, or nothing."""
        transport = self.transport
        if transport is None:
            return ""
        if self._reading_paused:
            self.pace.held_back(now)
        sock = transport.get_extra_info("socket")
        taken, waiting = unheard(sock) if sock is not None else (0, 0)
        self.pace.left(taken, waiting, now)
        return self.pace.fault(limits, now, reading=self.asking)

    def refuse(self, error: ApiError) -> None:
        """Answer without a request, and close."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(_alone(error))
        self.force_close()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if self._connections.leaving and resp is not None:
            resp.force_close()  # said in its header, so that the client asks elsewhere next
        return await super().finish_response(request, resp, start_time)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._fast = None  # it refers to itself through its parser
        super().connection_lost(exc)
        self._connections.lost(self)

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
            error = ApiError("unexpected error; it is logged")
        response = failure(error)
        response.set_status(status)
        response.headers["Server"] = SERVER
        response.force_close()
        return response


def _alone(error: ApiError) -> bytes:
    """A whole answer that no request asked for."""
    body = error_body(error)
    fields = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Server": SERVER,
        **error_fields(error),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {error.status} {error.title}\r\n{head}\r\n".encode() + body


class Connections:
    """Makes the connection of each client that is let in, and knows those that are open.

    ``server`` is a runner's. Once ``leaving`` is set each answer is the last of its connection.
    A client has its place from its accept on, so that TLS handshakes count as well.
    """

    def __init__(
        self, server: web.Server, limits: Limits | None = None, fast: FastPath | None = None
    ) -> None:
        self._server = server
        self.fast = fast
        self.limits = limits or Limits()
        self._gate = Gate(self.limits)
        self._open: dict[Connection, str] = {}  # with the address that it counts for
        self._none = asyncio.Event()
        self._refusal = _alone(Overloaded("there are too many connections; retry later"))
        self.leaving = False
        self.accepted = 0
        self.refused = 0
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    # acceptor.Doorkeeper

    def enter(self, address: str, sock: socket.socket | None = None) -> Connection | None:
        """The connection of a client at ``address``, unless there are too many."""
        if not self._gate.enter(address):
            return None
        self.accepted += 1
        connection = Connection(self, self._server)
        self._open[connection] = address
        return connection

    def refuse(self) -> bytes:
        """There is no room for one more; what it is told."""
        self.accepted += 1
        self.refused += 1
        return self._refusal

    def failed(self, connection: Connection) -> None:
        """Its TLS handshake did."""
        self.dropped["handshake"] += 1
        self.lost(connection)

    def lost(self, connection: Connection) -> None:
        address = self._open.pop(connection, None)
        if address is not None:
            self._gate.leave(address)
        if not self._open:
            self._none.set()

    async def sweep(self) -> None:
        """Runs until cancelled: once a second ends the connections of clients that are too slow."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = loop.time()
            for connection in list(self._open):
                fault = connection.look(self.limits, now)
                if fault:
                    self._drop(connection, fault)

    def states(self) -> Counter[str]:
        """Connections by what they are at."""
        return Counter(
            "idle"
            if c.idle and not c.pace.head_bytes
            else "read"
            if c.idle or c.asking
            else "handle-request"
            for c in self._open
        )

    def _drop(self, connection: Connection, fault: str) -> None:
        self.dropped[fault] += 1
        if fault == "stall":
            if connection.transport is not None:
                connection.transport.abort()  # there is no way to tell it anything
        elif fault == "head" and not connection.pace.head_bytes:
            connection.force_close()  # it has asked nothing, so it is told nothing
        else:
            connection.refuse(RequestTooSlow("the request came too slowly"))

    def close_idle(self) -> None:
        for connection in list(self._open):
            if connection.idle:
                connection.force_close()

    async def ended(self, within: float) -> bool:
        """Whether no connection is left, waiting up to ``within`` seconds for it."""
        try:
            async with asyncio.timeout(within):
                while self._open:
                    self._none.clear()
                    await self._none.wait()
        except TimeoutError:
            return False
        return True

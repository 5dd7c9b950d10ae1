"""The HTTP connection: aiohttp's, with the product's envelope for what its parser refuses.

A request line, header or framing that is no HTTP never reaches the application; aiohttp would
answer in plain text. The connection is closed after it, so nothing behind it is read as a request.
"""

from __future__ import annotations

import asyncio
import logging
from weakref import WeakSet

from aiohttp import web

from warouter import __version__
from warouter.api.envelope import failure
from warouter.errors import ApiError, GenericError

log = logging.getLogger(__name__)


class NotHttp(GenericError):
    """The bytes that came are no request that may be answered otherwise."""


class Connection(web.RequestHandler):
    """One connection of a client."""

    def __init__(self, connections: Connections, server: web.Server) -> None:
        # A compressed body could be a bomb; the application refuses it by its header.
        super().__init__(server, loop=asyncio.get_running_loop(), auto_decompress=False)
        self._connections = connections

    @property
    def idle(self) -> bool:
        """Nothing was asked that is not answered."""
        return self._waiter is not None and not self._waiter.done()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if self._connections.leaving and resp is not None:
            resp.force_close()  # said in its header, so that the client asks elsewhere next
        return await super().finish_response(request, resp, start_time)

    def connection_lost(self, exc: BaseException | None) -> None:
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
        response.headers["Server"] = f"warouter/{__version__}"
        response.force_close()
        return response


class Connections:
    """A protocol factory for ``loop.create_server`` that knows what it made.

    ``server`` is a runner's. Once ``leaving`` is set each answer is the last of its connection.
    """

    def __init__(self, server: web.Server) -> None:
        self._server = server
        # Weak, since one whose TLS handshake fails is never lost: it never was.
        self._open: WeakSet[Connection] = WeakSet()
        self._none = asyncio.Event()
        self.leaving = False

    def __call__(self) -> Connection:
        connection = Connection(self, self._server)
        self._open.add(connection)
        return connection

    def __len__(self) -> int:
        return len(self._open)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if not self._open:
            self._none.set()

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

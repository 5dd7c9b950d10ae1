"""The HTTP connection: aiohttp's, with the product's envelope for what its parser refuses.

A request line, header or framing that is no HTTP never reaches the application; aiohttp would
answer in plain text. The connection is closed after it, so nothing behind it is read as a request.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web

from warouter import __version__
from warouter.api.envelope import failure
from warouter.errors import ApiError, GenericError

log = logging.getLogger(__name__)


class NotHttp(GenericError):
    """The bytes that came are no request that may be answered otherwise."""


class Connection(web.RequestHandler):
    """One connection of a client."""

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


def connections(server: web.Server) -> Any:
    """A protocol factory for ``loop.create_server``; ``server`` is a runner's."""
    loop = asyncio.get_running_loop()

    def connect() -> Connection:
        # A compressed body could be a bomb; the application refuses it by its header.
        return Connection(server, loop=loop, auto_decompress=False)

    return connect

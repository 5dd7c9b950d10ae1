"""Connections of clients. What is no HTTP is answered with the header fields of other answers."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

from aiohttp import web

from warouter.console import guard

log = logging.getLogger(__name__)

_FIELDS = {**guard.HEADERS, "Cache-Control": "no-store"}


class Connection(web.RequestHandler):
    """One connection. Bodies stay as they come: a compressed one could be a bomb."""

    def __init__(self, server: web.Server) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, auto_decompress=False)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer where the application gives none. It quotes nothing of the request."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        if status < 500:
            log.debug("request refused by the parser", extra={"reason": message})
            text = "The request is not valid HTTP/1.1.\n"
        else:
            log.error("request failed outside the application", exc_info=exc)
            text = "The request failed: the console's log says why.\n"
        response = web.Response(status=status, text=text, headers=_FIELDS)
        response.force_close()
        return response


async def serve(
    runner: web.AppRunner, sock: socket.socket, context: ssl.SSLContext | None
) -> asyncio.Server:
    """Serve the application of the runner, which has been set up, at a socket."""
    server = runner.server
    if server is None:
        raise RuntimeError("the runner has not been set up")
    return await asyncio.get_running_loop().create_server(
        lambda: Connection(server), sock=sock, ssl=context
    )

"""An edge that nobody came to."""

from __future__ import annotations

import socket

from aiohttp import web

from warouter.http.edge import Edge


async def never_asked(_request: web.BaseRequest) -> web.Response:
    raise AssertionError


async def test_one_that_is_left_as_soon_as_it_opened_listens_no_more() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    edge = Edge(web.Server(never_asked), [sock], None)
    edge.open()
    await edge.leave(lambda: None)
    assert sock.fileno() == -1

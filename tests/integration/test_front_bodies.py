"""Large bodies through the edge as it runs, with requests right behind them: flow control holds
them back, and nothing is lost, doubled or read as something else.
"""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from tests.harness.certificates import contexts
from tests.harness.front import Front, Request, judge, other, plain, sized
from tests.harness.wait import soon
from warouter.http.edge import Edge

LARGE = 3 << 20


def a_flood() -> list[Request]:
    """Bodies that no buffer holds, read and unread, with a length and chunked."""
    body = bytes(range(256)) * (LARGE // 256)
    chunk = b"%x\r\n%b\r\n" % (50_000, body[:50_000])
    chunks = chunk * (LARGE // 50_000) + b"0\r\n\r\n"
    coding = b"Transfer-Encoding: chunked"
    return [
        plain("user", 0),
        sized("user", 1, "/post", body),
        plain("admin", 2),
        other("user", 3, "/post", coding, body=chunks),
        plain("user", 4),
        sized("user", 5, "/early", body),
        other("admin", 6, "/get"),
        other("user", 7, "/early", coding, body=chunks),
        plain("admin", 8),
    ]


async def played(tls: bool) -> list[str]:
    front = Front()
    sock = socket.create_server(("127.0.0.1", 0))
    server, client = contexts("localhost") if tls else (None, None)
    edge = Edge(front.server, [sock], server, None, front.fast)
    edge.open()
    reader, writer = await asyncio.open_connection(
        *sock.getsockname(), ssl=client, server_hostname="localhost" if tls else None
    )
    sent, heard = a_flood(), bytearray()

    async def listen() -> None:
        while data := await reader.read(1 << 16):
            heard.extend(data)

    listening = asyncio.create_task(listen())
    for request in sent:
        writer.write(request.raw)
    await writer.drain()
    await soon(lambda: len(front.marks(bytes(heard))) >= len(sent) or listening.done(), 60.0)
    writer.transport.abort()
    await edge.leave(lambda: None)
    await asyncio.sleep(0.1)  # uvloop closes what was aborted
    return judge(sent, front.runs, front.marks(bytes(heard)))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_large_bodies_with_requests_right_behind_them(loop: object, tls: bool) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        assert runner.run(played(tls)) == []

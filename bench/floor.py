"""The bare floor to compare with: what HTTP, a socket and a commit cost, and nothing else.

Two processes: ``web`` finds the end of each request's head and passes the body on in a
length-prefixed frame (all frames of a turn of the loop in one write); ``core`` writes what it has
with COPY into one table with a primary key, the next batch gathering meanwhile, and says how many
were committed; 201 after that. No token, no validation, no fence, no order, nothing sent on.

``aiohttp`` is ``web`` by a handler of aiohttp: what a webapp could reach at best without fast path.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from typing import Protocol, cast

import asyncpg
import uvloop
from aiohttp import web as aiohttp_web

from bench.naive import serve

SIZE = 4
ID_SIZE = 20
TABLE = "create table if not exists message (id bytea primary key, body bytea not null)"
_BODY = b'{"messages":[{"id":"%b"}]}'
_ANSWER = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(_BODY % (b"00" * ID_SIZE))
) + _BODY
_LENGTH = b"Content-Length: "


class Asking(Protocol):
    """Who waits for a commit."""

    def answer(self, number: bytes) -> None:
        """The message is on disk."""


class Link(asyncio.Protocol):
    """The web process's end of the socket: bodies out, counts of committed ones in."""

    def __init__(self) -> None:
        self._out: list[bytes] = []
        self._waiting: deque[tuple[Asking, bytes]] = deque()
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: Asking, body: bytes) -> None:
        """Pass it on with an id of its own; ``request`` is answered once it is committed."""
        number = os.urandom(ID_SIZE)
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out += ((ID_SIZE + len(body)).to_bytes(SIZE, "little"), number, body)
        self._waiting.append((request, number))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % SIZE
        self._rest = data[whole:]
        for at in range(0, whole, SIZE):
            for _ in range(int.from_bytes(data[at : at + SIZE], "little")):
                request, number = self._waiting.popleft()
                request.answer(number)

    def _flush(self) -> None:
        assert self._transport is not None
        out, self._out = self._out, []
        self._transport.write(b"".join(out))


class Request(asyncio.Protocol):
    """One keep-alive connection of a client."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = data
            return
        at = data.find(_LENGTH, 0, end) + len(_LENGTH)
        size = end + 4 + int(data[at : data.find(b"\r", at)])
        if len(data) < size:
            self._buffer = data
            return
        self._buffer = b""
        self._link.send(self, data[end + 4 : size])

    def answer(self, number: bytes) -> None:
        """The message is on disk."""
        if self._transport is not None:
            self._transport.write(_ANSWER % number.hex().encode())

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None


class Handled(asyncio.Future[bytes]):
    """A request in aiohttp's hands: it waits for its number."""

    def answer(self, number: bytes) -> None:
        self.set_result(number)


class Core(asyncio.Protocol):
    """The other end: frames in, batches to the table, counts out."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._rows: list[tuple[bytes, bytes]] = []
        self._rest = b""
        self._commit: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        start = 0
        while len(data) - start >= SIZE:
            body = start + SIZE + ID_SIZE
            end = start + SIZE + int.from_bytes(data[start : start + SIZE], "little")
            if end > len(data):
                break
            self._rows.append((data[start + SIZE : body], data[body:end]))
            start = end
        self._rest = data[start:]
        if self._rows and self._commit is None:
            self._commit = asyncio.create_task(self._commit_all())

    async def _commit_all(self) -> None:
        assert self._transport is not None
        while self._rows:
            rows, self._rows = self._rows, []
            await self._connection.copy_records_to_table(
                "message", records=rows, columns=("id", "body")
            )
            self._transport.write(len(rows).to_bytes(SIZE, "little"))
        self._commit = None


async def core(path: str, dsn: str) -> None:
    """Listen on the Unix socket ``path``; the first line of output says that it does."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(TABLE)
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: Core(connection), path)
    print(0, flush=True)
    await _input_closed()
    server.close()
    await connection.close()


async def web(path: str) -> None:
    """Serve; the port is the first line of output."""
    loop = asyncio.get_running_loop()
    _, link = await loop.create_unix_connection(Link, path)
    server = await loop.create_server(lambda: Request(link), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await _input_closed()
    server.close()


async def aiohttp(path: str) -> None:
    """``web`` by aiohttp: the body is read and decoded, a request of any path is one."""
    loop = asyncio.get_running_loop()
    _, link = await loop.create_unix_connection(Link, path)

    async def send(request: aiohttp_web.Request) -> aiohttp_web.Response:
        body = await request.read()
        json.loads(body)
        handled = Handled(loop=loop)
        link.send(handled, body)
        text = _BODY % (await handled).hex().encode()
        return aiohttp_web.Response(body=text, status=201, content_type="application/json")

    app = aiohttp_web.Application()
    app.router.add_post("/v1/messages", send)
    await serve(app)


async def _input_closed() -> None:
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, closed.set)
    await closed.wait()


if __name__ == "__main__":
    uvloop.run({"core": core, "web": web, "aiohttp": aiohttp}[sys.argv[1]](*sys.argv[2:]))

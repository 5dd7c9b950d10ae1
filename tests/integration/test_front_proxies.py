"""A user and an administrator on one connection to the edge, behind a proxy that reuses it.

HAProxy and nginx as Debian has them. Between the proxy and the webapp lies a network that cuts and
joins what it carries where it hurts.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvloop

from tests.harness import programs
from tests.harness.certificates import contexts
from tests.harness.front import LINE, Front, Request, judge, other, plain, sized, trap
from tests.harness.wait import PATIENCE, soon
from warouter.http.connection import Connection
from warouter.http.edge import Edge

KEPT_BACK = b"KEPT-BACK"  # a body that ends so arrives with what follows it

HAPROXY = """
defaults
    mode http
    http-reuse always
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    server webapp 127.0.0.1:{to} maxconn 1
"""
NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream webapp {{ server 127.0.0.1:{to}; keepalive 1; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://webapp;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
        }}
    }}
}}
"""


class Network:
    """Carries one connection's bytes on, cut before each trap and joined behind KEPT_BACK.

    A piece leaves once the webapp has read all before it, so that each is a read of its own.
    """

    def __init__(self, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._port = port
        self._sent = self._read = 0
        self.connections = 0
        made = Connection.__init__

        def counted(connection: Connection, *rest: Any) -> None:
            made(connection, *rest)
            received = connection.data_received  # the fast path's

            def counting(data: bytes) -> None:
                received(data)
                self._read += len(data)

            vars(connection)["data_received"] = counting

        monkeypatch.setattr(Connection, "__init__", counted)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Its port."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def send(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        await soon(lambda: self._read >= self._sent)
        await asyncio.sleep(0.005)  # what has been read may be answered, or not
        self._sent += len(piece)
        writer.write(piece)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.create_task(_copied(to_reader, writer))
        kept = b""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                pieces = cut(kept + data)
                kept = pieces.pop() if pieces[-1].endswith(KEPT_BACK) else b""
                if kept and len(kept) > 3:
                    pieces.append(kept[:-3])
                    kept = kept[-3:]
                for piece in pieces:
                    await self.send(to_writer, piece)
        to_writer.close()
        await back


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
    writer.close()


def cut(data: bytes) -> list[bytes]:
    """Before each line that could be taken for a message's, wherever it stands."""
    pieces = data.split(LINE)
    return [piece for piece in (pieces[0], *(LINE + rest for rest in pieces[1:])) if piece]


@pytest.fixture
async def front() -> AsyncIterator[tuple[Front, int]]:
    """What the webapp is asked, and its edge's port."""
    front = Front()
    sock = socket.create_server(("127.0.0.1", 0))
    edge = Edge(front.server, [sock], None, None, front.fast)
    edge.open()
    yield front, sock.getsockname()[1]
    await edge.leave(lambda: None)


@contextlib.asynccontextmanager
async def proxy(name: str, config: str, folder: Path, to: int) -> AsyncIterator[int]:
    """Debian's ``haproxy`` or ``nginx`` in front of a port; its own."""
    program = programs.find(name)
    assert program is not None
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    path = folder / "config"
    path.write_text(config.format(port=port, to=to, folder=folder))
    options = ["-db", "-f"] if name == "haproxy" else ["-p", str(folder), "-c"]
    process = await asyncio.create_subprocess_exec(program, *options, str(path))
    try:
        await soon(lambda: _listens(port))
        yield port
    finally:
        process.terminate()
        await process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


async def ask(port: int, request: Request) -> int:
    """The status of its answer, on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request.raw)
        async with asyncio.timeout(PATIENCE):
            return int((await reader.readline()).split(b" ")[1])
    finally:
        writer.close()


def a_day(random: Random) -> list[Request]:
    """An attacker's requests, each with an administrator's behind it."""
    sent: list[Request] = []

    def add(make: Callable[..., Request], who: str, *rest: object) -> None:
        sent.append(make(who, len(sent), *rest))

    for _ in range(4):
        add(plain, "user")
        add(sized, "user", "/early", b"x" * random.randrange(400) + KEPT_BACK)
        add(trap, "user")
        add(other, "admin", "/get")
        add(plain, "admin")
    return sent


@pytest.mark.parametrize(
    ("name", "config"),
    [
        pytest.param("haproxy", HAPROXY, marks=pytest.mark.program("haproxy")),
        pytest.param("nginx", NGINX, marks=pytest.mark.program("nginx")),
    ],
)
async def test_behind_a_proxy_that_reuses(
    front: tuple[Front, int],
    name: str,
    config: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    behind, port = front
    network = Network(port, monkeypatch)
    async with network.open() as to, proxy(name, config, tmp_path, to) as through:
        for request in (sent := a_day(Random(1))):
            assert await ask(through, request) in (200, 201), request
    assert judge(sent, behind.runs) == []
    assert network.connections <= 3  # it did reuse: the test is about that


# Large bodies with requests right behind them: flow control holds them back, and nothing is lost,
# doubled or read as something else.

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

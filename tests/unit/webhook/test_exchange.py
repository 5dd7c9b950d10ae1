"""What is written to a receiver, and on which connection."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiohttp
import pytest

from warouter import __version__
from warouter.webhook.exchange import ReceiverAnswer, Target, exchange

TLS = ssl.create_default_context()


@pytest.mark.parametrize(
    ("url", "line", "fields"),
    [
        ("http://b.example", "POST / HTTP/1.1", {"Host: b.example"}),
        ("http://b.example:81/a?b=c d#e", "POST /a?b=c+d HTTP/1.1", {"Host: b.example:81"}),
        ("https://[::1]/hook", "POST /hook HTTP/1.1", {"Host: [::1]"}),
        ("https://bücher.example/ü", "POST /%C3%BC HTTP/1.1", {"Host: xn--bcher-kva.example"}),
        ("https://me:it@b.example/", "POST / HTTP/1.1", {"Authorization: Basic bWU6aXQ="}),
    ],
)
async def test_the_head_of_a_request(url: str, line: str, fields: set[str]) -> None:
    head, _, body = Target(url, TLS).request(b"{}", {"webhook-id": "msg_1"}).partition(b"\r\n\r\n")
    first, *others = head.decode().split("\r\n")
    assert first == line
    assert body == b"{}"
    usual = {"Content-Type: application/json", f"User-Agent: warouter/{__version__}"}
    assert {*fields, *usual, "webhook-id: msg_1", "Content-Length: 2"} <= set(others)
    assert len({field.partition(":")[0].lower() for field in others}) == len(others)


async def test_fields_of_the_receiver_replace_ours() -> None:
    fields = {"X-Key": "k", "user-agent": "theirs", "authorization": "Bearer t"}
    written = Target("https://me:it@b.example/", TLS, fields).request(b"{}", {})
    lines = written.decode().split("\r\n")
    assert {"X-Key: k", "Content-Type: application/json", "Host: b.example"} <= set(lines)
    for name, value in fields.items():
        found = [line for line in lines if line.lower().startswith(f"{name.lower()}:")]
        assert [line.partition(": ")[2] for line in found] == [value]


@pytest.mark.parametrize("url", ["", "/hook", "http://"])
async def test_a_bad_url_is_no_target(url: str) -> None:
    with pytest.raises(aiohttp.InvalidURL):
        Target(url, TLS)


class Connections:
    """A connector with two of them, of which the first got more than it was asked for."""

    def __init__(self) -> None:
        self.closed: list[int] = []
        self.given = 0

    async def connect(self, *_: object) -> Any:
        self.given += 1
        return Given(self, self.given)


class Given:
    def __init__(self, connections: Connections, number: int) -> None:
        self.number = number
        self.protocol = self
        self.should_close = number == 1
        self._connections = connections

    def close(self) -> None:
        self._connections.closed.append(self.number)


async def test_unasked_bytes_are_no_answer_to_the_next_request() -> None:
    connections: Any = Connections()
    given: Any = await Target("http://b.example", TLS).connection(connections)
    assert (given.number, connections.closed) == (2, [1])


@pytest.mark.parametrize(("status", "taken"), [(200, True), (299, True), (500, False)])
async def test_an_answer_is_what_its_status_says_also_if_its_body_breaks_off(
    status: int, taken: bool
) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\nab" % status)
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = Target(f"http://127.0.0.1:{port}", TLS)
    async with server, aiohttp.TCPConnector() as connections:
        connection, heard = await target.connection(connections), ReceiverAnswer(100)
        with pytest.raises(aiohttp.ClientPayloadError):
            await exchange(connection, target.request(b"{}", {}), heard)
        connection.close()
    assert (heard.status, heard.taken) == (status, taken)

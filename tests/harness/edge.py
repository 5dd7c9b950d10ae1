"""A listening edge, and a client that says bytes to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from tests.harness.api import Api
from warouter.http.edge import Edge

Open = Callable[..., Awaitable["Front"]]


class Front:
    """A listening edge, and a client that says bytes to it."""

    def __init__(self, edge: Edge, port: int, api: Api) -> None:
        self.edge = edge
        self.port = port
        self.api = api
        self._writers: list[asyncio.StreamWriter] = []

    def figure(self, name: str, **labels: str) -> float:
        (value,) = [s.value for s in self.edge.samples() if (s.name, s.labels) == (name, labels)]
        return value

    @property
    def connections(self) -> int:
        states = ("idle", "read", "handle-request")
        return int(sum(self.figure("web_requests", state=state) for state in states))

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        self._writers.append(writer)
        return reader, writer

    def hang_up(self) -> None:
        """Close what a test has left open."""
        for writer in self._writers:
            writer.close()

    async def say(self, request: bytes) -> tuple[int, dict[str, Any]]:
        reader, writer = await self.connect()
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
        try:
            return await heard(reader)
        finally:
            writer.close()

    def post(self, *fields: bytes, body: bytes = b"", path: bytes = b"/v1/messages") -> bytes:
        token = self.api.user.encode()
        lines = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Authorization: Bearer " + token]
        return b"\r\n".join([*lines, *fields]) + b"\r\n\r\n" + body

    def get(self, *fields: bytes, path: bytes = b"/") -> bytes:
        return b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: x", *fields]) + b"\r\n\r\n"


async def heard(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any]]:
    """Status and JSON of one answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return int(head.split(b" ")[1]), json.loads(await reader.readexactly(length))

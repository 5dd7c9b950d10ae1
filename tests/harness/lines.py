"""Keep-alive connections with one ``POST /v1/messages`` at a time, as the fast path takes it."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """One answer; ``fields`` with their names in lower case."""

    status: int
    fields: dict[str, str]
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """Of the message, which was accepted."""
        assert self.status == 201, self
        return str(self.body["messages"][0]["id"])

    @property
    def error(self) -> tuple[int, int, bool]:
        """Status, code, and whether it says when to come again."""
        return self.status, self.body["errors"][0]["code"], self.fields.get("retry-after", "") > "0"


class Line:
    """One connection, kept from its first request to its last."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, token: str, message: dict[str, Any]) -> Answer:
        """Send it and wait for its answer."""
        body = json.dumps(message).encode()
        head = (
            f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        line, *fields = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        named = {n.lower(): v for n, _, v in (field.partition(": ") for field in fields)}
        content = await self._reader.readexactly(int(named["content-length"]))
        return Answer(int(line.split()[1]), named, json.loads(content))


class Lines:
    """So many of them to one webapp."""

    def __init__(self, url: str, count: int) -> None:
        self._address = urlsplit(url)
        self._count = count
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        host, port = self._address.hostname, self._address.port
        pairs = [await asyncio.open_connection(host, port) for _ in range(self._count)]
        self._writers = [writer for _, writer in pairs]
        self.all = [Line(*pair) for pair in pairs]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for writer in self._writers:
            writer.transport.abort()

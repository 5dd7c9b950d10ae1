"""HTTP/1.1 at the level of bytes: sent as they are, and what comes back is read in full."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import NamedTuple

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


class Got(NamedTuple):
    """One answer; ``closes`` when the connection ends with it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    closes: bool


class Line:
    """A connection that is made anew whenever it was closed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, raw: bytes, *, head: bool = False) -> Got:
        """The answer to one well-framed request; TimeoutError after 20 s."""
        async with asyncio.timeout(20):
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(
                    *self._address, limit=1 << 20
                )
            self._writer.write(raw)
            got = await self._read(head)
            while got.status == 100:
                got = await self._read(head)
        if got.closes:
            self.close()
        return got

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def _read(self, head: bool) -> Got:
        top = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").rstrip("\r\n").split("\r\n")
        status = int(first.split(" ")[1])
        pairs = (line.partition(":") for line in lines)
        headers = {name.title(): value.strip() for name, _, value in pairs}
        if head or status in (100, 304):
            body = b""
        elif headers.get("Transfer-Encoding") == "chunked":
            body = await self._chunks()
        else:
            body = await self._reader.readexactly(int(headers.get("Content-Length", "0")))
        # What is no HTTP is answered in HTTP/1.0, which ends the connection.
        closes = first.startswith("HTTP/1.0") or headers.get("Connection", "").lower() == "close"
        return Got(status, headers, body, closes)

    async def _chunks(self) -> bytes:
        pieces = []
        while size := int(await self._reader.readline(), 16):
            pieces.append(await self._reader.readexactly(size))
            await self._reader.readline()
        await self._reader.readline()
        return b"".join(pieces)


async def blurted(host: str, port: int, raw: bytes, patience: float = 0.1) -> list[int]:
    """Send bytes on a connection of their own; the statuses of whatever came back.

    A request that is not whole gets no answer: after ``patience`` seconds of silence it is given
    up.
    """
    reader, writer = await asyncio.open_connection(host, port)
    heard = b""
    try:
        writer.write(raw)
        while True:
            async with asyncio.timeout(patience if not heard else 0.01):
                piece = await reader.read(65536)
            if not piece:
                break
            heard += piece
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return [int(status) for status in _STATUS.findall(heard)]

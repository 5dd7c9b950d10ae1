"""HTTP/1.1 at the level of bytes: sent as they are, and what comes back is read in full."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping
from http.client import HTTPResponse
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
        self._socket: socket.socket | None = None

    async def ask(self, raw: bytes, *, head: bool = False) -> Got:
        """The answer to one well-framed request; TimeoutError after 20 s of silence."""
        return await asyncio.to_thread(self._ask, raw, "HEAD" if head else "POST")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, raw: bytes, method: str) -> Got:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=20)
        self._socket.sendall(raw)
        with HTTPResponse(self._socket, method=method) as answer:
            answer.begin()
            headers = {name.title(): value for name, value in answer.getheaders()}
            got = Got(answer.status, headers, answer.read(), answer.will_close)
        if got.closes:
            self.close()
        return got


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

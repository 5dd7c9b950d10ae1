"""TLS in front of a PostgreSQL that was built without it, as the embedded one is.

Towards its clients it speaks as PostgreSQL does; the server behind it is reached by its socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from pathlib import Path
from typing import Self

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Terminating:
    """Serves inside of ``async with``. ``context`` may be changed; with None it has no TLS."""

    def __init__(
        self,
        behind: Path,
        context: ssl.SSLContext | None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._behind = behind
        self._address = host, port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.context = context
        self.in_tls = 0
        """Connections in TLS so far."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, *self._address)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(8)
            if first == _SSL_REQUEST and self.context:
                writer.write(b"S")
                await writer.start_tls(self.context)
                self.in_tls += 1
                first = b""
            far_reader, far_writer = await asyncio.open_unix_connection(self._behind)
            self._writers.add(far_writer)
            far_writer.write(first)
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()

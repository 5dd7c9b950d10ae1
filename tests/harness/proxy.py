"""A TCP proxy between two processes that can be cut silently: sockets stay open, nothing passes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

Target = Callable[[], tuple[str, int] | Path]  # asked at each connection; a path is a Unix socket


class Proxy:
    """``cut`` stops both directions, new connections included; ``heal`` lets all that waits on.

    The port is taken at once, connections are served inside of ``async with``.
    """

    def __init__(self, target: Target, host: str = "127.0.0.1", port: int = 0) -> None:
        self._target = target
        self._socket = socket.create_server((host, port))
        self.port = int(self._socket.getsockname()[1])
        self._open = asyncio.Event()
        self._open.set()
        self._near: set[socket.socket] = set()  # accepted, and not yet a stream
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.used = asyncio.Event()  # somebody connected to it

    async def __aenter__(self) -> Self:
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._accept)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        for sock in (self._socket, *self._near):
            sock.close()
        await asyncio.sleep(0)  # a transport closes its socket in the turn after its end

    def cut(self) -> None:
        self._open.clear()

    def heal(self) -> None:
        self._open.set()

    def _accept(self) -> None:
        """Accept without asyncio's server: that of Python 3.11 never
        closes the socket of a connection that it accepts at its own end.
        """
        try:
            sock, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        sock.setblocking(False)
        self.used.set()
        self._near.add(sock)
        self._tasks.add(asyncio.create_task(self._serve(sock)))

    async def _serve(self, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=sock)
        self._near.discard(sock)
        self._writers.add(writer)
        try:
            await self._open.wait()
            far_reader, far_writer = await self._open_far()
            self._writers.add(far_writer)
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()

    async def _open_far(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = self._target()
        if isinstance(target, Path):
            return await asyncio.open_unix_connection(target)
        return await asyncio.open_connection(*target)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._open.wait()
                if reader.exception() is not None:
                    break  # reset meanwhile: what it had sent is lost with the cut
                writer.write(data)
                await writer.drain()
        except (OSError, RuntimeError):  # uvloop's word for a transport that is gone
            pass
        await self._open.wait()  # a cut hides the end of a connection too
        writer.transport.abort() if writer.transport.is_closing() else writer.close()

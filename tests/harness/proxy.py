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

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.used = asyncio.Event()  # somebody connected to it

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, sock=self._socket)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    def cut(self) -> None:
        self._open.clear()

    def heal(self) -> None:
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.used.set()
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
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

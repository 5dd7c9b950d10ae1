"""The cuts where namespaces cannot be made: a TCP proxy between each process and what it needs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.chaos.network import DATABASE, UPSTREAM
from warouter.local.cluster import Placement

Target = Callable[[], tuple[str, int] | Path]


class Proxies:
    """A TCP proxy in front of database and upstream, for each process one."""

    cuts: tuple[str, ...] = (DATABASE, UPSTREAM)
    simulator_host = "127.0.0.1"

    def __init__(self, upstream_port: Callable[[], int], socket_folder: Callable[[], Path]) -> None:
        self.postgres_options: dict[str, str] = {}
        self._upstream_port = upstream_port
        self._socket_folder = socket_folder
        self._proxies: dict[tuple[str, str], Proxy] = {}

    def place(self, name: str, role: str) -> Placement:
        environment = {
            "WA_DB_HOSTNAME": "127.0.0.1",
            "WA_DB_PORT": str(self._proxy(name, DATABASE).port),
            "WAROUTER_UPSTREAM_ADDRESS": f"127.0.0.1:{self._proxy(name, UPSTREAM).port}",
        }
        return Placement(environment=environment)

    def webapp_host(self, name: str) -> str:
        return "127.0.0.1"

    def cut(self, name: str, net: str) -> None:
        self._proxies[name, net].cut()

    def heal(self, name: str, net: str) -> None:
        self._proxies[name, net].heal()

    def cut_pair(self, one: str, other: str) -> None:
        raise NotImplementedError("links are cut in network namespaces only")

    heal_pair = cut_pair

    def close(self) -> None:
        for proxy in self._proxies.values():
            proxy.close()

    def _proxy(self, name: str, net: str) -> Proxy:
        if (name, net) not in self._proxies:
            self._proxies[name, net] = Proxy(self._target(net))
        return self._proxies[name, net]

    def _target(self, net: str) -> Target:
        if net == DATABASE:
            return lambda: self._socket_folder() / ".s.PGSQL.5432"
        return lambda: ("127.0.0.1", self._upstream_port())


class Proxy:
    """Forwards bytes both ways while it is not cut; then it keeps them and says nothing."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._start(self._serve())

    def cut(self) -> None:
        self._open.clear()

    def heal(self) -> None:
        self._open.set()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._socket.close()

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._connected, sock=self._socket) as server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        target = self._target()
        try:
            there = await (
                asyncio.open_unix_connection(target)
                if isinstance(target, Path)
                else asyncio.open_connection(*target)
            )
        except OSError:
            writer.close()
            return
        self._start(self._pump(reader, there[1]))
        self._start(self._pump(there[0], writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._open.wait()
                if reader.exception() is not None:
                    break  # reset meanwhile: what it had sent is lost with the cut
                writer.write(data)
                await writer.drain()
        except (OSError, RuntimeError):  # uvloop's word for a transport that is gone
            pass
        finally:
            writer.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""The smallest honest server as a side: it, a PostgreSQL and a simulator of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from bench.child import Child
from bench.e2e.site import Found, Site, say
from warouter.config import Settings, load
from warouter.local import ports
from warouter.local.environment import of_child
from warouter.local.postgres import Postgres
from warouter.local.process import Process

NAME = "server"


class PlainCluster:
    """What runs, described as a cluster is. ``serve`` starts the server, once all else runs."""

    user = password = cert = ""

    def __init__(self, folder: Path) -> None:
        self.postgres = Postgres(folder / "postgres")
        self._ports = [ports.free_port() for _ in range(3)]
        self._server: Child | None = None
        port, control, services = map(str, self._ports)
        wanted = ("--port", port, "--control-port", control, "--services-port", services)
        environment = of_child(self.postgres.settings())
        self._simulator = Process(
            "simulator", "simulator", ["simulator", *wanted], environment, folder
        )

    async def start(self) -> None:
        await asyncio.to_thread(self.postgres.start)
        await self._simulator.start()

    async def serve(self, token: str, hook: str) -> None:
        """Start the server, which answers to that token and calls that webhook."""
        dsn = self.postgres.dsn("postgres")
        self._server = await Child.start("bench.plain", dsn, token, str(self._ports[0]), hook)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
        await self._simulator.stop()
        await asyncio.to_thread(self.postgres.stop)
        ports.release(self._ports)

    async def add_coreapps(self, count: int) -> None:
        raise NotImplementedError("the smallest server is one process")

    def description(self) -> dict[str, Any]:
        pids = {"simulator": self._simulator.pid, "postgres": self.postgres.pid}
        if self._server is not None:
            pids[NAME] = self._server.pid
        return {"processes": [{"name": name, "pid": pid} for name, pid in pids.items()]}

    @property
    def settings(self) -> Settings:
        return load(self.postgres.settings("postgres"))

    @property
    def webapp_urls(self) -> list[str]:
        assert self._server is not None
        return [f"http://127.0.0.1:{self._server.port}"]

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[1]}"


class PlainSite(Site):
    """The server under load, measured as a cluster is."""

    async def begin(self, stack: AsyncExitStack, cluster: PlainCluster) -> None:
        """Everything runs."""
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        self.http = await stack.enter_async_context(aiohttp.ClientSession())
        self.database = await asyncpg.connect(cluster.postgres.dsn("postgres"))
        stack.push_async_callback(self.database.close)
        self.load = await Child.start("bench.load")
        stack.push_async_callback(self.load.stop)
        self.token = secrets.token_urlsafe(32)
        await cluster.serve(self.token, f"http://127.0.0.1:{self.load.port}/")

    def product(self) -> dict[str, int]:
        return {NAME: self.pids()[NAME]}

    async def check(self, name: str) -> list[str]:
        """What is wrong; nothing, if every 201 and every status is a row and was called back."""
        rows = await self.database.fetchval("select count(*) from message")
        statuses = await self.database.fetchval("select count(*) from status")
        counts: Found = await self.counts()
        whole = counts["whole_and_accepted"]
        say(
            f"  {name}: {self.accepted:,} accepted, {rows:,} rows, {statuses:,} statuses,"
            f" {whole:,} of {self.expected:,} called back"
        )
        kept = rows == self.accepted and statuses == 3 * self.expected and whole == self.expected
        return [] if kept else [f"{name}: {rows} rows, {whole} whole of {self.accepted} accepted"]


@asynccontextmanager
async def plain_site(folder: Path) -> AsyncIterator[Site]:
    """The server, with all that it needs below ``folder``."""
    cluster = PlainCluster(folder)
    here = PlainSite(cluster)
    async with AsyncExitStack() as stack:
        await here.begin(stack, cluster)
        yield here

"""The side that is compared: a whole cluster, whose upstream takes nothing meanwhile."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from bench.child import Child
from bench.order import Command, Load
from warouter.local.cluster import Cluster
from warouter.local.options import UpOptions, executed
from warouter.store.database import connect

# All load comes from one address, of which a webapp takes a hundred connections otherwise.
_ENVIRONMENT = {"WAROUTER_CONNECTIONS_PER_ADDRESS": "2000"}


class Warouter:
    """POST /v1/messages over HTTP; ``accepted`` counts every 201."""

    name = "warouter"

    def __init__(self, folder: Path, shards: int) -> None:
        options = UpOptions(
            data_dir=folder,
            shards=shards,
            port=0,
            tls=False,
            environment=_ENVIRONMENT,
            place=executed,
        )
        self.accepted = 0
        self.database: asyncpg.Connection
        self._cluster = Cluster(options)
        self._load: Child
        self._token = ""

    async def start(self, stack: AsyncExitStack) -> None:
        """Everything runs, and the simulator leaves what is sent to it unanswered."""
        stack.push_async_callback(self._cluster.stop)
        await self._cluster.start()
        self.database = await connect(self._cluster.settings, "bench")
        stack.push_async_callback(self.database.close)
        self._load = await Child.start("bench.load")
        stack.push_async_callback(self._load.stop)
        basic = aiohttp.encode_basic_auth(self._cluster.user, self._cluster.password)
        login = f"{self._cluster.url}/v1/users/login"
        faults = f"{self._cluster.control_url}/faults"
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            async with http.post(login, headers={"Authorization": basic}) as answer:
                self._token = (await answer.json())["users"][0]["token"]
            async with http.put(faults, json={"pause": True}):
                pass

    async def turn(self, callers: int, seconds: float, warm_up: float) -> dict[str, Any]:
        """Closed loops on that many connections; SystemExit if anything but a 201 comes."""
        order = Load(
            port=self._cluster.port,
            token=self._token,
            connections=callers,
            seconds=seconds,
            warm_up=warm_up,
            lives=False,
        )
        found = await self._load.ask(Command(load=order))
        others = {status: n for status, n in found["statuses"].items() if status != "201" and n}
        if others or found["lost"]:
            raise SystemExit(f"not only 201: {others}, {found['lost']} connections lost")
        self.accepted += found["accepted"]
        return found

    async def kept(self) -> int:
        """Messages on disk."""
        return int(await self.database.fetchval("select count(*) from message where kind = 0"))

    async def make_database(self, name: str) -> str:
        """Another database on the same server, for a peer; its DSN."""
        await self.database.execute(f'create database "{name}"')
        assert self._cluster.postgres is not None
        return self._cluster.postgres.dsn(name)

    def pids(self) -> list[int]:
        """All processes but PostgreSQL's, the load among them."""
        processes = self._cluster.description()["processes"]
        return [p["pid"] for p in processes if p["role"] != "postgres"] + [self._load.pid]

    def postgres_pid(self) -> int:
        assert self._cluster.postgres is not None
        return self._cluster.postgres.pid

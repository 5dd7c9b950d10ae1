"""The cluster's database as the campaign asks it: a lost connection is made anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg

from tests.campaigns.chaos import audit
from warouter.cluster.shardmap import ShardMap
from warouter.local.cluster import Cluster
from warouter.store import database
from warouter.store.nodes import live_incarnations, read_map, read_nodes, read_term

PATIENCE_SECONDS = 30.0  # for which a lost connection is made anew
AGAIN_SECONDS = 0.05


class Database:
    """What a campaign reads and writes in it, beside what the product does."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._connection: asyncpg.Connection | None = None

    async def close(self) -> None:
        if self._connection is not None:
            await database.close_politely(self._connection)

    async def watch(self) -> None:
        """Begin to watch who writes, and what comes to be in doubt."""
        await self._reading(audit.install)

    async def script(self, statements: str) -> None:
        """Several statements without arguments."""
        await self._reading(lambda c: c.execute(statements))

    async def sql(self, query: str, *arguments: Any, seconds: float = 5.0) -> list[Any]:
        """Rows; a connection lost, or silent for so long, is made anew for half a minute."""
        rows: list[Any] = await self._reading(lambda c: c.fetch(query, *arguments), seconds)
        return rows

    async def stale_writes(self) -> list[str]:
        """What the audit found (I2)."""
        found: list[str] = await self._reading(audit.stale_writes)
        return found

    async def map(self) -> ShardMap:
        current: ShardMap = await self._reading(read_map)
        return current

    async def owners(self) -> dict[str, dict[int, int]]:
        """Coreapps by name with their slots and epochs."""
        found: dict[str, dict[int, int]] = {}
        names = await self._names()
        for s in (await self.map()).slots:
            if s.owner in names:
                found.setdefault(names[s.owner], {})[s.slot] = s.epoch
        return found

    async def leader(self) -> str | None:
        """The name of the master that leads, or led last."""
        return (await self._names()).get(await self._reading(read_term))

    async def whole(self) -> bool:
        """Every slot has a live owner, and none is about to move."""
        current = await self.map()
        if not current.settled:
            return False
        live: set[UUID] = await self._reading(live_incarnations)
        return {s.owner for s in current.slots} <= live

    async def _names(self) -> dict[UUID | None, str]:
        """The processes' names, by incarnation."""
        nodes = await self._reading(read_nodes)
        return {node.incarnation: node.name.partition(":")[2] for node in nodes}

    async def _reading(self, read: Callable[[Any], Any], seconds: float = 5.0) -> Any:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await database.connect(self._cluster.settings, "chaos")
                async with asyncio.timeout(seconds):
                    return await read(self._connection)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)

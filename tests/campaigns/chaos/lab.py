"""A whole cluster of real processes to be hurt: PostgreSQL, simulator, coreapps, masters, webapps.

The harness holds the load, a connection to the database and what arrived at the simulator.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from tests.campaigns.chaos import audit
from tests.campaigns.chaos.arrivals import Arrivals
from tests.campaigns.chaos.clocks import CLOCKS, Clocks
from tests.campaigns.chaos.doors import Door
from tests.campaigns.chaos.doors.native import NativeDoor
from tests.campaigns.chaos.nameserver import NameServer
from tests.campaigns.chaos.network import NAME_SERVER, Namespaces, usable
from tests.campaigns.chaos.proxies import Proxies
from tests.harness.business import Business
from tests.harness.wait import soon
from warouter.cluster.shardmap import ShardMap
from warouter.local.cluster import Cluster
from warouter.local.options import Options, Placement
from warouter.local.postgres import Postgres
from warouter.local.process import Process
from warouter.store import database
from warouter.store.nodes import live_incarnations, read_map, read_nodes, read_term

RECIPIENTS = 400
PROMISED_SECONDS = 10.0  # from the last heal until everything flows again (I15)
LOOK_SECONDS = 0.02


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large the cluster is, and the load in messages a second."""

    shards: int = 4
    coreapps: int = 5
    webapps: int = 2
    masters: int = 3
    rate: float = 600.0


class Lab:
    """``program`` is what coreapps and masters run, by role; the product unless told."""

    def __init__(
        self,
        size: Size,
        seed: int,
        *,
        program: Callable[[str], tuple[str, ...]] = lambda _role: ("-m", "warouter"),
        postgres: dict[str, str] | None = None,
        clocks: bool = False,
        door: Door | None = None,
    ) -> None:
        self.size = size
        self.door: Door = door or NativeDoor()
        self.random = Random(seed)
        self.seed = seed
        self.folder = fresh_folder("chaos")
        self._clocks = Clocks(self.folder / "clocks") if clocks else None
        self._program = program
        self.network = self._make_network()
        self.cluster = Cluster(
            Options(
                data_dir=self.folder,
                port=0,
                tls=False,
                shards=size.shards,
                coreapps=size.coreapps,
                webapps=size.webapps,
                masters=size.masters,
                place=self._place,
                # Little to redo after a kill: webapps hold what they have got for 10 s.
                postgres=self.network.postgres_options
                | {"checkpoint_timeout": "1min"}
                | (postgres or {}),
                listen_host=self.network.listen_host,
                **self.door.options(self.folder, self.network.simulator_host),
                environment={
                    "WAROUTER_ALLOW_PRIVATE": "127.0.0.0/8,10.77.0.0/16",
                    # All load comes from one address, as through a balancer.
                    "WAROUTER_TRUSTED_PROXIES": "10.77.0.0/16",
                },
            )
        )
        self.door.cluster = self.cluster
        self._connection: asyncpg.Connection | None = None
        self._follower: asyncio.Task[None] | None = None
        self.names: NameServer | None = None  # of the namespaces' hosts
        self._strangers = count()

    # life

    async def start(self) -> None:
        self._admit_network()
        if isinstance(self.network, Namespaces):
            self.names = await NameServer.start(NAME_SERVER)
        if self._clocks is not None:
            os.environ.update(self._clocks.environment("postgres"))  # of its child, and no other
        await self.cluster.start()
        await self._reading(audit.install)
        urls = [
            f"http://{self.network.webapp_host(p.name)}:{p.environment['WEBAPP_EXTERNAL_PORTS']}"
            for p in self.cluster.processes.values()
            if p.role == "webapp"
        ]
        host = "10.77.3.1" if isinstance(self.network, Namespaces) else "127.0.0.1"
        self.business = Business(
            self.cluster, urls, host=host, rate=self.size.rate, seed=self.seed, keeps=False
        )
        self.history = self.business.history
        await self.business.__aenter__()
        self.arrivals = Arrivals(self.history.sends, self.business, self.door)
        self.business.start(RECIPIENTS)
        self._follower = asyncio.create_task(self._follow())

    async def stop(self, *, keep: bool) -> None:
        self.unfollow()
        if hasattr(self, "business"):
            await self.business.__aexit__()
        if self._connection is not None:
            await database.close_politely(self._connection)
        for process in self.cluster.processes.values():
            process.kill(signal.SIGCONT)
        await self.cluster.stop()
        if self.names is not None:
            self.names.transport.close()
        await self.network.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def unfollow(self) -> None:
        """No customer writes any more; arrivals are fetched by whoever asks."""
        if self._follower is not None:
            self._follower.cancel()

    # what is there

    @property
    def means(self) -> set[str]:
        """What nemeses may need and is here: networks that can be cut, clocks that can be set."""
        return {*self.network.cuts, *([CLOCKS] if self._clocks is not None else [])}

    def clock(self, name: str, ahead: float) -> None:
        """Set the wall clock of a process, or of PostgreSQL, so many seconds before the time."""
        assert self._clocks is not None
        self._clocks.set(name, ahead)

    async def script(self, statements: str) -> None:
        """Several statements without arguments."""
        await self._reading(lambda c: c.execute(statements))

    async def sql(self, query: str, *arguments: Any, seconds: float = 5.0) -> list[Any]:
        """Rows; a connection lost, or silent for so long, is made anew for half a minute."""
        rows: list[Any] = await self._reading(lambda c: c.fetch(query, *arguments), seconds)
        return rows

    async def stale_writes(self) -> list[str]:
        """What the audit in the database found (I2)."""
        found: list[str] = await self._reading(audit.stale_writes)
        return found

    async def map(self) -> ShardMap:
        current: ShardMap = await self._reading(read_map)
        return current

    def process(self, name: str) -> Process:
        return self.cluster.processes[name]

    def running(self, role: str) -> list[Process]:
        return [p for p in self.cluster.processes.values() if p.role == role and p.alive]

    async def name_of(self, incarnation: UUID | None) -> str | None:
        """The process that is, or was, this incarnation."""
        names = {n.incarnation: n.name for n in await self._reading(read_nodes)}
        name = names.get(incarnation)
        return name.partition(":")[2] if name else None

    async def owners(self) -> dict[str, dict[int, int]]:
        """Coreapps by name with their slots and epochs."""
        found: dict[str, dict[int, int]] = {}
        names = {n.incarnation: n.name.partition(":")[2] for n in await self._reading(read_nodes)}
        for s in (await self.map()).slots:
            if s.owner in names:
                found.setdefault(names[s.owner], {})[s.slot] = s.epoch
        return found

    async def leader(self) -> str:
        """The leading master's name; waits until there is one that runs."""

        async def found() -> str | None:
            name = await self.name_of(await self._reading(read_term))
            return name if name in self.cluster.processes and self.process(name).alive else None

        return str(await soon(found, PROMISED_SECONDS))

    def stranger(self) -> str:
        """A recipient of its own, outside of the load's chains."""
        return f"49153{next(self._strangers):07d}"

    async def faults(self, **switches: Any) -> None:
        """Set switches of the simulator."""
        await self.business.faults(**switches)

    @contextlib.asynccontextmanager
    async def switched(self, **switches: Any) -> AsyncIterator[None]:
        """With these switches of the simulator; then they are as before."""
        before = await self.business.switches()
        await self.faults(**switches)
        try:
            yield
        finally:
            await self.faults(**{name: before[name] for name in switches})

    async def recovered(self, since: float, seconds: float = PROMISED_SECONDS) -> float | None:
        """When every slot was owned by a live coreapp and had sent after ``since``; None: never."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            await self.arrivals.fetch()
            if min(self.arrivals.last) > since and await self._whole():
                return time.monotonic()
            await asyncio.sleep(LOOK_SECONDS * 2)
        return None

    async def _whole(self) -> bool:
        current = await self.map()
        if not current.settled:
            return False
        live: set[UUID] = await self._reading(live_incarnations)
        return {s.owner for s in current.slots} <= live

    async def until(self, holds: Callable[[], Any], seconds: float = PROMISED_SECONDS) -> None:
        """Wait for something that sends no signal; TimeoutError after so long."""
        await soon(holds, seconds)

    async def back(self, name: str, restarts: int) -> None:
        """Until its supervisor has restarted a process once more than that, and it is ready."""
        process = self.process(name)
        await self.until(lambda: process.restarts > restarts, 2 * PROMISED_SECONDS)
        async with asyncio.timeout(PROMISED_SECONDS):
            await process.ready.wait()

    # inside

    def _make_network(self) -> Namespaces | Proxies:
        if usable():
            return Namespaces(self.door)
        return Proxies(self.door, lambda: Path(self.cluster.settings.db_hostname))

    def _place(self, name: str, role: str) -> Placement:
        placement = self.network.place(name, role)
        environment = placement.environment
        if self._clocks is not None:
            environment = environment | self._clocks.environment(name)
        return msgspec.structs.replace(
            placement, program=self._program(role), environment=environment
        )

    def _admit_network(self) -> None:
        """PostgreSQL trusts loopback only; here its clients come from namespaces."""
        if not isinstance(self.network, Namespaces):
            return
        server = Postgres(self.folder / "postgres")
        server.start()
        server.stop()
        with (server.folder / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.1.0/24 trust\n")

    async def _reading(self, read: Callable[[Any], Any], seconds: float = 5.0) -> Any:
        give_up = time.monotonic() + 30
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await database.connect(self.cluster.settings, "chaos")
                async with asyncio.timeout(seconds):
                    return await read(self._connection)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(0.05)

    async def _follow(self) -> None:
        while True:
            await self.arrivals.fetch()
            await self.business.from_new_customers(self.door.inbound)
            await asyncio.sleep(1.0)


def fresh_folder(campaign: str) -> Path:
    """Not a private one: PostgreSQL runs as another account when this is root."""
    folder = Path(tempfile.mkdtemp(prefix=f"warouter-{campaign}-", dir="/tmp"))
    folder.chmod(0o711)
    return folder


def children_of(pid: int) -> list[int]:
    """Pids of a process's children, as PostgreSQL's backends."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry))
    return found

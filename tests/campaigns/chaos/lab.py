"""A whole cluster of real processes to be hurt: PostgreSQL, simulator, coreapps, masters, webapps.

The harness holds the load, a connection to the database and what arrived at the simulator.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from itertools import count
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from tests.campaigns.chaos.arrivals import Arrivals
from tests.campaigns.chaos.customers import Customers
from tests.campaigns.chaos.database import Database
from tests.campaigns.chaos.doors import Door
from tests.campaigns.chaos.doors.native import NativeDoor
from tests.campaigns.chaos.hosts import Hosts, Program
from tests.campaigns.chaos.machine import fresh_folder
from tests.harness.business import Business
from tests.harness.wait import PATIENCE, soon
from warouter._hash import SLOTS
from warouter.local.cluster import Cluster
from warouter.local.options import UpOptions
from warouter.local.process import Process

RECIPIENTS = 400
BURST = 6  # at most so many messages to one recipient soon after each other
PROMISED_SECONDS = 10.0  # from the last heal until everything flows again (I15)
LOOK_SECONDS = 0.02


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large the cluster is, and the load in messages a second."""

    shards: int = 4
    coreapps: int = 5
    webapps: int = 2
    masters: int = 3
    rate: float = 600.0

    @property
    def burst(self) -> int:
        """Messages to one recipient soon after each other, that lanes are long when something
        happens: so few that every slot still has something to send twice a second.
        """
        return max(1, min(BURST, int(self.rate) // (2 * SLOTS)))


class Lab:
    """``program`` is what coreapps and masters run, by role; the product unless told."""

    def __init__(
        self,
        size: Size,
        seed: int,
        *,
        program: Program = lambda _role: ("-m", "warouter"),
        postgres: dict[str, str] | None = None,
        clocks: bool = False,
        door: Door | None = None,
    ) -> None:
        self.size = size
        self.door: Door = door or NativeDoor()
        self.random = Random(seed)
        self.seed = seed
        self.folder = fresh_folder("chaos")
        self.hosts = Hosts(
            self.door, program, self.folder / "clocks" if clocks else None, self._sockets
        )
        self.network = self.hosts.network
        self.cluster = Cluster(
            UpOptions(
                data_dir=self.folder,
                port=0,
                tls=False,
                shards=size.shards,
                coreapps=size.coreapps,
                webapps=size.webapps,
                masters=size.masters,
                place=self.hosts.place,
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
        self.database = Database(self.cluster)
        self._customers: Customers | None = None
        self._strangers = count()

    # life

    async def start(self) -> None:
        await self.hosts.start(self.folder / "postgres")
        await self.cluster.start()
        await self.database.watch()
        urls = [
            f"http://{self.network.webapp_host(p.name)}:{p.environment['WEBAPP_EXTERNAL_PORTS']}"
            for p in self.cluster.processes.values()
            if p.role == "webapp"
        ]
        self.business = Business(
            self.cluster,
            urls,
            host=self.hosts.listener,
            rate=self.size.rate,
            seed=self.seed,
            keeps=False,
            burst=self.size.burst,
        )
        self.history = self.business.history
        await self.business.__aenter__()
        self.arrivals = Arrivals(self.history.sends, self.business, self.door)
        self.business.start(max(RECIPIENTS, ceil(self.size.rate * self.door.pair_seconds)))
        self._customers = Customers(self.business, self.arrivals, self.door.inbound)

    async def stop(self, *, keep: bool) -> None:
        await self.end_customers()
        if hasattr(self, "business"):
            await self.business.__aexit__()
        await self.database.close()
        for process in self.cluster.processes.values():
            process.kill(signal.SIGCONT)
        await self.cluster.stop()
        await self.hosts.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def end_customers(self) -> None:
        """No customer writes any more; arrivals are fetched by whoever asks."""
        if self._customers is not None:
            await self._customers.end()

    # what is there

    def process(self, name: str) -> Process:
        return self.cluster.processes[name]

    def running(self, role: str) -> list[Process]:
        return [p for p in self.cluster.processes.values() if p.role == role and p.alive]

    async def leader(self) -> str:
        """The leading master's name; waits until there is one that runs."""

        async def found() -> str | None:
            name = await self.database.leader()
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
            if min(self.arrivals.last) > since and await self.database.whole():
                return time.monotonic()
            await asyncio.sleep(LOOK_SECONDS * 2)
        return None

    async def until(self, holds: Callable[[], Any], seconds: float = PROMISED_SECONDS) -> None:
        """Wait for something that sends no signal; TimeoutError after so long."""
        await soon(holds, seconds)

    async def back(self, name: str, restarts: int) -> None:
        """Until its supervisor has restarted a process once more than that, and it is ready.

        That is how fast this machine starts Python, and no promise of the product.
        """
        process = self.process(name)
        await self.until(lambda: process.restarts > restarts, PATIENCE)
        async with asyncio.timeout(PATIENCE):
            await process.ready.wait()

    # inside

    def _sockets(self) -> Path:
        """Where PostgreSQL has its sockets."""
        return Path(self.cluster.settings.db_hostname)

"""A cluster that has both upstreams beside it, and is moved from one to the other in place."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.harness.business import Business
from tests.harness.shell import printed, refused
from warouter.local import cloud, ports
from warouter.local.cluster import Cluster
from warouter.local.environment import of_child
from warouter.local.process import Process

SIMULATOR, CLOUD = "simulator", "cloud"
FREE = {"level": 0, "pair_s": 0}
ORDER = ("webapp", "coreapp", "master")
NUMBER = "16315550000"


class Upstreams:
    """The simulator that the cluster has, and a Cloud door that is started beside it.

    ``cluster.control_url`` is that of the one in use. ``accepted`` are the ids that both have taken
    until the last switch, by recipient, in their order.
    """

    def __init__(self, cluster: Cluster, business: Business) -> None:
        self._cluster = cluster
        self._business = business
        self._controls = {SIMULATOR: cluster.control_port, CLOUD: ports.free_port()}
        graph = ports.free_port()
        webapps = [name for name, p in cluster.processes.items() if p.role == "webapp"]
        self._listeners = {name: ports.free_port() for name in webapps}
        self.taken = [self._controls[CLOUD], graph, *self._listeners.values()]
        self.variables = {
            "WAROUTER_UPSTREAM": CLOUD,
            **cloud.emulated(cluster.folder, graph),
            "WAROUTER_CLOUD_DOUBT_SECONDS": "2",
            "WAROUTER_CLOUD_RATE": "1000",
        }
        urls = [cloud.webhook_url("127.0.0.1", port) for port in self._listeners.values()]
        control = self._controls[CLOUD]
        arguments = cloud.arguments(graph, control, "127.0.0.1", urls, NUMBER)
        environment = of_child(cluster.description()["environment"] | self.variables)
        self._door = Process("cloud-door", "simulator", arguments, environment, cluster.folder)
        self.accepted: dict[str, list[str]] = defaultdict(list)

    async def start(self) -> None:
        self._cluster.processes[self._door.name] = self._door
        await self._cluster.again(self._door)

    # the command

    async def refused(self, kind: str) -> str:
        """Why the switch is refused."""
        arguments = ("cloud", "switch", "--to", kind)
        return await refused(self._cluster.settings, *arguments, **self.variables)

    async def switch(self, kind: str, *more: str) -> str:
        """Switch the database; what that prints. No process is set to the other one yet."""
        arguments = ("cloud", "switch", "--to", kind, *more)
        return await printed(self._cluster.settings, *arguments, **self.variables)

    # the processes

    async def restart(self, kind: str) -> None:
        """Restart every process with this upstream."""
        for role in ORDER:
            some = [p for p in self._cluster.processes.values() if p.role == role]
            await asyncio.gather(*(self._restart(process, kind) for process in some))
        for to, ids in (await self._taken()).items():
            self.accepted[to] += ids
        self._cluster.control_port = self._controls[kind]
        if kind == CLOUD:
            await self._business.faults(**FREE)

    async def _restart(self, process: Process, kind: str) -> None:
        await process.stop()
        self._set(process, kind)
        await self._cluster.again(process)

    def _set(self, process: Process, kind: str) -> None:
        for name in (*self.variables, "WAROUTER_CLOUD_LISTEN"):
            process.environment.pop(name, None)
        if kind == CLOUD:
            process.environment |= self.variables
            if process.name in self._listeners:
                port = self._listeners[process.name]
                process.environment["WAROUTER_CLOUD_LISTEN"] = f"127.0.0.1:{port}"

    async def _taken(self) -> Mapping[str, list[str]]:
        """What the upstream in use has taken since it was asked last."""
        url = f"{self._cluster.control_url}/record"
        async with self._business.http.get(f"{url}?ids=1") as answer:
            found: dict[str, list[str]] = (await answer.json())["ids"]
        async with self._business.http.delete(url) as answer:
            assert answer.status == 200
        return found

    async def all_accepted(self) -> Mapping[str, list[str]]:
        """Every id that one of the two has taken, by recipient, in the order of that."""
        for to, ids in (await self._taken()).items():
            self.accepted[to] += ids
        return self.accepted


@asynccontextmanager
async def both_upstreams(cluster: Cluster, business: Business) -> AsyncIterator[Upstreams]:
    """The cluster's simulator in use, and a Cloud door that runs."""
    upstreams = Upstreams(cluster, business)
    try:
        await upstreams.start()
        yield upstreams
    finally:
        ports.release(upstreams.taken)

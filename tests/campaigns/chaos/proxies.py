"""The cuts where namespaces cannot be made: a TCP proxy between each process and what it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.chaos.network import DATABASE, UPSTREAM, Upstream
from tests.harness.proxy import Proxy, Target
from warouter.local.options import Placement


class Proxies:
    """A TCP proxy in front of database and upstream, for each process one."""

    cuts: tuple[str, ...] = (DATABASE, UPSTREAM)
    simulator_host = "127.0.0.1"

    def __init__(self, upstream: Upstream, socket_folder: Callable[[], Path]) -> None:
        self.postgres_options: dict[str, str] = {}
        self._upstream = upstream
        self._socket_folder = socket_folder
        self._proxies: dict[tuple[str, str], Proxy] = {}
        self._opening: list[asyncio.Task[Proxy]] = []

    def place(self, name: str, role: str) -> Placement:
        environment = {
            "WA_DB_HOSTNAME": "127.0.0.1",
            "WA_DB_PORT": str(self._proxy(name, DATABASE).port),
            **self._upstream.environment("127.0.0.1", self._proxy(name, UPSTREAM).port),
        }
        return Placement(environment=environment)

    def webapp_host(self, name: str) -> str:
        return "127.0.0.1"

    def listen_host(self, _name: str) -> str:
        return "127.0.0.1"

    def database_host(self, name: str) -> str:
        raise NotImplementedError("processes have addresses in network namespaces only")

    def cut(self, name: str, net: str) -> None:
        self._proxies[name, net].cut()

    def heal(self, name: str, net: str) -> None:
        self._proxies[name, net].heal()

    def cut_pair(self, one: str, other: str) -> None:
        raise NotImplementedError("links are cut in network namespaces only")

    heal_pair = cut_pair

    async def close(self) -> None:
        await asyncio.gather(*self._opening)
        for proxy in self._proxies.values():
            await proxy.__aexit__()

    def _proxy(self, name: str, net: str) -> Proxy:
        if (name, net) not in self._proxies:
            proxy = self._proxies[name, net] = Proxy(self._target(net))
            self._opening.append(asyncio.create_task(proxy.__aenter__()))
        return self._proxies[name, net]

    def _target(self, net: str) -> Target:
        if net == DATABASE:
            return lambda: self._socket_folder() / ".s.PGSQL.5432"
        return lambda: ("127.0.0.1", self._upstream.port())

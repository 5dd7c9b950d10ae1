"""Where the processes of a lab run: each on a host of its own, with a clock of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.campaigns.chaos.clocks import CLOCKS, Clocks
from tests.campaigns.chaos.doors import Door
from tests.campaigns.chaos.nameserver import NameServer
from tests.campaigns.chaos.network import NAME_SERVER, Namespaces, usable
from tests.campaigns.chaos.proxies import Proxies
from tests.harness.filters import FILTERS, may_filter
from warouter.local.options import Placement
from warouter.local.postgres import Postgres

LISTENER = "10.77.3.1"  # the harness, as processes reach it

Program = Callable[[str], tuple[str, ...]]


class Hosts:
    """``program`` is what a role runs; clocks can be set if ``clocks`` is a folder for them."""

    def __init__(
        self, door: Door, program: Program, clocks: Path | None, sockets: Callable[[], Path]
    ) -> None:
        self._program = program
        self._clocks = Clocks(clocks) if clocks else None
        self.network = Namespaces(door) if usable() else Proxies(door, sockets)
        self.names: NameServer | None = None  # of the namespaces' hosts

    async def start(self, postgres: Path) -> None:
        """Before the cluster is; its PostgreSQL will be in that folder."""
        if isinstance(self.network, Namespaces):
            _trust(postgres)
            self.names = await NameServer.start(NAME_SERVER)
        if self._clocks is not None:
            os.environ.update(self._clocks.environment("postgres"))  # of its child, and no other

    async def close(self) -> None:
        if self.names is not None:
            self.names.transport.close()
        await self.network.close()

    @property
    def means(self) -> set[str]:
        """What nemeses may need and is here: networks that can be cut, clocks that can be set,
        sockets that can be filtered.
        """
        clocks = [CLOCKS] if self._clocks is not None else []
        return {*self.network.cuts, *clocks, *([FILTERS] if may_filter() else [])}

    @property
    def listener(self) -> str:
        """Where the processes reach the harness."""
        return LISTENER if isinstance(self.network, Namespaces) else "127.0.0.1"

    def clock(self, name: str, ahead: float) -> None:
        """Set the wall clock of a process, or of PostgreSQL, so many seconds before the time."""
        assert self._clocks is not None
        self._clocks.set(name, ahead)

    def place(self, name: str, role: str) -> Placement:
        """How a process is started there."""
        placement = self.network.place(name, role)
        environment = placement.environment
        if self._clocks is not None:
            environment = environment | self._clocks.environment(name)
        return msgspec.structs.replace(
            placement, program=self._program(role), environment=environment
        )


def _trust(folder: Path) -> None:
    """PostgreSQL trusts loopback only; here its clients come from namespaces."""
    server = Postgres(folder)
    server.start()
    server.stop()
    with (server.folder / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.77.1.0/24 trust\n")

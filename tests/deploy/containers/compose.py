"""The shipped compose file under podman-compose, and what can be asked of its containers."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.deploy.containers.engine import SHIPPED, Engine
from warouter.errors import CommandError

UP_SECONDS = 400.0
LOOK_SECONDS = 0.5
SETTLE_SECONDS = 90.0
_OWNERS = """
select n.host, count(*) from warouter.slot s
  join warouter.node n on n.incarnation = s.owner group by n.host"""
# Of each service, as its unit's TimeoutStopSec.
GRACE = {"coreapp": 40, "webapp": 20, "master": 10, "web-console": 10, "simulator": 10}


class Compose:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def call(self, *words: str, seconds: float = UP_SECONDS, check: bool = True) -> str:
        command = ("podman-compose", "--file", "compose.yaml", *words)
        return self.engine.call(*command, seconds=seconds, check=check, cwd=SHIPPED)

    def up(self, *words: str) -> None:
        """Returns once every process is healthy."""
        self.call("up", "--detach", *words)
        self.until(self.healthy, "every process is healthy")

    def names(self, role: str) -> list[str]:
        """The running containers of a service."""
        told = self.engine.call("podman", "ps", "--format={{.Names}}").split()
        return sorted(name for name in told if name.startswith(f"warouter_{role}_"))

    def healthy(self) -> bool:
        words = ("podman", "ps", "--format={{.Names}} {{.Status}}")
        lines = self.engine.call(*words).splitlines()
        processes = [x for x in lines if any(f"_{role}_" in x for role in GRACE)]
        return bool(processes) and all(x.endswith("(healthy)") for x in processes)

    def until(self, holds: Any, what: str, seconds: float = SETTLE_SECONDS) -> None:
        give_up = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > give_up:
                shown = self.engine.call("podman", "ps", "--all")
                raise CommandError(f"not within {seconds:g} s: {what}\n{shown}")
            time.sleep(LOOK_SECONDS)

    def record(self) -> dict[str, Any]:
        """What reached the simulator."""
        found: dict[str, Any] = json.loads(
            self.engine.call(
                "podman",
                "exec",
                "warouter_simulator_1",
                "/opt/warouter/bin/python",
                "-c",
                "import urllib.request as u;"
                "print(u.urlopen('http://127.0.0.1:6261/record?ids=1').read().decode())",
            )
        )
        return found

    def address(self, name: str) -> str:
        networks = self.engine.inspect(name)["NetworkSettings"]["Networks"]
        return str(networks["warouter_default"]["IPAddress"])

    def owners(self) -> dict[str, int]:
        """By the address of each coreapp, of a dead one too, how many slots it owns."""
        psql = ("psql", "--username=postgres", "--dbname=warouter", "--no-align", "--tuples-only")
        told = self.engine.call(
            "podman", "exec", "warouter_postgres_1", *psql, "--command", _OWNERS
        )
        rows = [line.split("|") for line in told.splitlines() if "|" in line]
        return {host: int(slots) for host, slots in rows}

"""A cluster of another clone's build, with the face of one of this clone (``bench.cluster``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench.child import Child
from bench.cluster import Change, Wanted
from warouter.config import Settings, load
from warouter.errors import CommandError
from warouter.local.options import UpOptions

PYTHON = Path(".venv/bin/python")
STOP_SECONDS = 40.0


class Database(NamedTuple):
    """Its embedded PostgreSQL; ``own`` is the address of the cluster's database."""

    pid: int
    own: str

    def dsn(self, database: str) -> str:
        """The address of another database there."""
        address, _, query = self.own.partition("?")
        return f"{address.rpartition('/')[0]}/{database}?{query}"


class Elsewhere:
    """Started by the clone's own interpreter, with the options that a local cluster has."""

    def __init__(self, clone: Path, options: UpOptions) -> None:
        self._python = clone / PYTHON
        self._options = options
        self._child: Child | None = None
        self._found: dict[str, Any] = {}

    async def start(self) -> None:
        """Start everything; CommandError if it does not run."""
        if not self._python.exists():
            raise CommandError(f"{self._python} is not there: make setup in that clone")
        wanted = msgspec.json.encode(_wanted(self._options)).decode()
        try:
            self._child = await Child.start("bench.cluster", wanted, python=str(self._python))
        except ValueError as error:
            raise CommandError(f"no cluster of {self._python}, see above") from error
        self._found = await self._child.ask(Change())

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop(STOP_SECONDS)
            self._child = None

    async def add_coreapps(self, count: int) -> None:
        """Start more coreapps."""
        assert self._child is not None
        self._found = await self._child.ask(Change(add_coreapps=count))

    def description(self) -> dict[str, Any]:
        """The content of its cluster.json."""
        return self._found

    @property
    def settings(self) -> Settings:
        return load(self._found["environment"])

    @property
    def webapp_urls(self) -> list[str]:
        return list(self._found["webapps"])

    @property
    def control_url(self) -> str:
        return str(self._found["simulator"]["control_url"])

    @property
    def user(self) -> str:
        return str(self._found["user"])

    @property
    def password(self) -> str:
        return str(self._found["password"])

    @property
    def cert(self) -> str:
        return str(self._found["cert"])

    @property
    def postgres(self) -> Database:
        processes = {p["name"]: p["pid"] for p in self._found["processes"]}
        return Database(processes["postgres"], self._found["database"]["dsn"])


def _wanted(options: UpOptions) -> Wanted:
    """The processes of single variables are found by asking for the place of each."""
    own = {
        f"{role}-{n}": options.place(f"{role}-{n}", role).environment
        for role, count in (("webapp", options.webapps), ("master", options.masters))
        for n in range(1, count + 1)
    }
    return Wanted(
        folder=str(options.data_dir),
        shards=options.shards,
        coreapps=options.coreapps,
        webapps=options.webapps,
        masters=options.masters,
        upstream=options.upstream,
        environment=options.environment,
        own=own,
    )

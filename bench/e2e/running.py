"""What the bench wants of a cluster that runs, of whichever build."""

from __future__ import annotations

from typing import Any, Protocol

from warouter.config import Settings


class Server(Protocol):
    """Its embedded PostgreSQL."""

    @property
    def pid(self) -> int: ...

    def dsn(self, database: str) -> str:
        """The address of a database there."""
        ...


class Running(Protocol):
    """``warouter.local.cluster.Cluster`` is one."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def add_coreapps(self, count: int) -> object: ...

    def description(self) -> dict[str, Any]:
        """The content of its cluster.json."""
        ...

    @property
    def settings(self) -> Settings: ...

    @property
    def webapp_urls(self) -> list[str]: ...

    @property
    def control_url(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def password(self) -> str: ...

    @property
    def cert(self) -> str: ...

    @property
    def postgres(self) -> Server | None: ...

"""A streaming standby of an embedded PostgreSQL: made, cut off, promoted.

Both servers of a pair stand in folders of their own beside each other; ``WA_DB_HOSTNAME=a,b`` names
their socket folders.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

import asyncpg

from tests.harness.wait import soon
from warouter.local.postgres import Postgres


class Standby(Postgres):
    """A server whose first start copies ``primary`` and which then follows it."""

    def __init__(self, folder: Path, primary: Postgres, **options: str) -> None:
        super().__init__(folder, **options)
        self._primary = primary

    def _initdb(self) -> None:
        self.folder.mkdir(mode=0o700)
        if self._as_user:
            os.chown(self.folder, self._as_user["user"], self._as_user["group"])
        copy = [
            *self._prefix,
            str(self._bin / "pg_basebackup"),
            *("-h", str(self._primary.socket_folder), "-U", "postgres"),
            *("-D", str(self.folder), "-R", "-X", "stream", "-c", "fast", "--no-sync"),
        ]
        subprocess.run(
            copy, check=True, stdin=subprocess.DEVNULL, capture_output=True, cwd="/",
            **self._as_user,
        )  # fmt: skip
        for of_the_primary in self.folder.glob(".s.PGSQL.*"):
            of_the_primary.unlink()


class Pair:
    """A primary and its standby, which change roles with every promotion."""

    def __init__(self, folder: Path) -> None:
        self._folders = [folder / "a", folder / "b"]
        self.primary = Postgres(self._folders[0])
        self.standby: Standby | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The WA_DB_* variables that lead to whichever takes writes."""
        hosts = ",".join(str(folder) for folder in self._folders)
        return self.primary.settings() | {"WA_DB_HOSTNAME": hosts}

    async def start(self) -> None:
        await asyncio.to_thread(self.primary.start)

    async def stop(self) -> None:
        for server in (self.standby, self.primary):
            if server is not None:
                await asyncio.to_thread(server.stop)

    async def follow(self) -> None:
        """Make the standby anew, in the folder that the primary has not, and let it catch up."""
        free = next(f for f in self._folders if f != self.primary.folder)
        shutil.rmtree(free, ignore_errors=True)
        self.standby = Standby(free, self.primary)
        await asyncio.to_thread(self.standby.start)
        await self.until(self.primary, "select exists (select 1 from pg_stat_replication)")

    async def synchronous(self) -> None:
        """From here on a commit is answered when the standby has it on its disk too."""
        assert self.standby is not None
        for server in (self.primary, self.standby):  # the standby for when it is promoted
            await _run(server, "alter system set synchronous_standby_names = '*'")
            await _run(server, "select pg_reload_conf()")
        await self.until(
            self.primary,
            "select exists (select 1 from pg_stat_replication where sync_state = 'sync')",
        )

    async def cut_off(self) -> None:
        """The standby gets nothing more; returns once the primary has seen it go."""
        assert self.standby is not None
        await _run(self.standby, "alter system set primary_conninfo = ''")
        await _run(self.standby, "select pg_reload_conf()")
        await self.until(self.primary, "select not exists (select 1 from pg_stat_replication)")

    async def end_primary(self, how: signal.Signals) -> None:
        """SIGINT: a clean stop, which sends the standby everything first. SIGKILL: a crash."""
        await asyncio.to_thread(self.primary.stop, how)

    async def promote(self) -> None:
        """The standby takes writes when this returns, and is the primary."""
        assert self.standby is not None
        await _run(self.standby, "alter system reset primary_conninfo")
        await _run(self.standby, "select pg_promote(true, 30)")
        await self.until(self.standby, "select not pg_is_in_recovery()")
        self.primary, self.standby = self.standby, None

    async def until(self, server: Postgres, condition: str) -> None:
        """Until the query says true; what it looks at sends no hint."""
        connection = await asyncpg.connect(server.dsn("postgres"))
        try:
            await soon(lambda: connection.fetchval(condition))
        finally:
            await connection.close()


async def _run(server: Postgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

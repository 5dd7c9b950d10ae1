"""A PostgreSQL that asks for a password, at a port of loopback."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.harness import prepared
from warouter.local.ports import free_port, release
from warouter.local.postgres import Postgres

_RULES = """
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""


class Scram:
    """``admin`` needs no password: it comes through the socket."""

    def __init__(self, server: Postgres, port: int, admin: asyncpg.Connection) -> None:
        self.server = server
        self.port = port
        self.admin = admin

    @property
    def variables(self) -> dict[str, str]:
        """How processes reach it, but for the password."""
        given = self.server.settings(prepared.DATABASE)
        return given | {"WA_DB_HOSTNAME": "127.0.0.1", "WA_DB_PORT": str(self.port)}

    async def set_password(self, password: str) -> None:
        """From now on sessions of the role are opened with this one only."""
        await self.admin.execute(f"alter role postgres password '{password}'")


@asynccontextmanager
async def scram(password: str) -> AsyncIterator[Scram]:
    """With a migrated database."""
    folder, port = prepared.reachable_folder(), free_port()
    options = {"listen_addresses": "127.0.0.1", "port": str(port), "fsync": "off"}
    server = Postgres(folder / "postgres", **options)
    try:
        await asyncio.to_thread(prepared.copy_to, server.folder)
        (server.folder / "pg_hba.conf").write_text(_RULES)
        await asyncio.to_thread(server.start)
        admin = await asyncpg.connect(
            host=str(server.socket_folder), port=port, user="postgres", database=prepared.DATABASE
        )
        found = Scram(server, port, admin)
        await found.set_password(password)
        try:
            yield found
        finally:
            await admin.close()
    finally:
        await asyncio.to_thread(server.stop)
        release([port])
        shutil.rmtree(folder, ignore_errors=True)

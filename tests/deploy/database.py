"""The PostgreSQL of a site: the embedded one, which machines reach at HOST:5432 in verified TLS.

It was built without TLS, so that a process of its own stands in front of it. The suite itself goes
by the socket, as the superuser; everybody else shows a password.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg
from trustme import CA

from tests.deploy.network import HOST
from tests.harness.certificates import issued
from tests.harness.terminating import Terminating
from warouter.local.postgres import Postgres
from warouter.tls import pem

PORT = 5432
NAME, ADMIN = "warouter", "warouter_admin"
KINDS = ("webapp", "coreapp", "master", "console", "reader", "web_console")
_HBA = "local all postgres trust\nlocal all all scram-sha-256\n"
AUTHORITY = "/etc/ssl/certs/warouter-db.pem"
_LENT = "pg_read_all_stats, pg_use_reserved_connections"  # what a managed service's owner may lend
_FRONT = "tests.deploy.database"


class Database:
    """``passwords``: that of ``ADMIN`` as "admin", which owns the database and may make roles, and
    those that the logins by kind of process are to have, which ``warouter migrate --roles`` makes.
    ``names``: more of those that machines may call it by.
    """

    def __init__(self, folder: Path, authority: CA, names: Sequence[str] = ()) -> None:
        self._server = Postgres(folder / "postgres", fsync="off")
        self.passwords = {kind: secrets.token_hex(16) for kind in ("admin", *KINDS)}
        self._pair = folder / "database.pem"
        pair = issued(authority, name=HOST, also=names)
        self._pair.write_text(pair.pem + pair.key)
        self._front: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        await asyncio.to_thread(self._server.start)
        (self._server.folder / "pg_hba.conf").write_text(_HBA)
        admin = await asyncpg.connect(self._server.dsn("postgres"))
        try:
            await admin.execute("select pg_reload_conf()")
            password = self.passwords["admin"]
            await admin.execute(f"create role {ADMIN} login createrole password '{password}'")
            await admin.execute(f"create database {NAME} owner {ADMIN}")
            await admin.execute(f"grant {_LENT} to {ADMIN} with admin option")
        finally:
            await admin.close()
        with self._pair.with_name("front.log").open("ab") as said:
            self._front = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", _FRONT, str(self._socket), str(self._pair)),
                stdout=asyncio.subprocess.PIPE,
                stderr=said,
            )
        assert self._front.stdout is not None
        assert await self._front.stdout.readline() == b"serves\n"

    async def stop(self) -> None:
        if self._front is not None:
            with contextlib.suppress(ProcessLookupError):
                self._front.send_signal(signal.SIGKILL)
            await self._front.wait()
        await asyncio.to_thread(self._server.stop)

    @property
    def variables(self) -> dict[str, str]:
        """Those of the suite itself, a superuser."""
        return self._server.settings(NAME)

    def seen_from_machines(self) -> dict[str, str]:
        """Those of a process, but for its login; machines have the authority's certificate."""
        return {
            "WA_DB_ENGINE": "PGSQL",
            "WA_DB_HOSTNAME": HOST,
            "WA_DB_PORT": str(PORT),
            "WAROUTER_DB_NAME": NAME,
            "WA_DB_SSL_CA": AUTHORITY,
        }

    @property
    def _socket(self) -> Path:
        return self._server.socket_folder / f".s.PGSQL.{PORT}"


async def _serve(socket: Path, pair: str) -> None:
    async with Terminating(socket, pem.server_context(pair), HOST, PORT):
        print("serves", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), Path(sys.argv[2]).read_text()))

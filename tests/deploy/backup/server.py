"""The database's machine: Debian's PostgreSQL and pgBackRest, with another disk for backups."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from trustme import CA

from tests.deploy.backup import document
from tests.deploy.machine import Machine
from tests.deploy.network import NETWORK
from tests.deploy.rootfs import rootfs
from tests.harness.certificates import issued, text_of

NUMBER = 2
LOGIN, PASSWORD = "warouter", "the-password-of-migrations"
REPOSITORY = "var/lib/pgbackrest"
DATA = "/var/lib/postgresql/17/main"
_CONFIGURATION = "/etc/postgresql/17/main"
_NETWORK = """
listen_addresses = '*'
port = 5432
ssl_cert_file = '/etc/postgresql/17/main/server.crt'
ssl_key_file = '/etc/postgresql/17/main/server.key'
"""
_WHO = f"hostssl all all {NETWORK}.0/24 scram-sha-256\n"
_ROLE = f"create role {LOGIN} login createrole password '{PASSWORD}'"
_DATABASE = f"create database warouter owner {LOGIN} encoding UTF8 template template0"
_STATEMENT_SECONDS = 60.0
_COMMANDS_SECONDS = 180.0
_ANSWERS = "until runuser -u postgres -- psql -Atqc 'select 1'; do sleep 0.1; done"
_ARCHIVED = """
select coalesce(last_archived_wal, '') >= '{}' from pg_stat_archiver"""


class Server:
    """``folder`` has the disks of the machine and of the repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._repository = folder / "repository"
        self._authority = CA()
        self._pair = issued(self._authority, name=f"{NETWORK}.{NUMBER}")
        self.authority = folder / "ca.pem"
        self.authority.write_text(text_of(self._authority))
        self._repository.mkdir()
        shutil.chown(self._repository, *_account())
        self._machine = self._new()

    @property
    def environment(self) -> dict[str, str]:
        """What leads there, as an administrator of warouter's database."""
        return {
            "WA_DB_HOSTNAME": f"{NETWORK}.{NUMBER}",
            "WA_DB_PORT": "5432",
            "WA_DB_USERNAME": LOGIN,
            "WA_DB_PASSWORD": PASSWORD,
            "WA_DB_SSL_CA": str(self.authority),
            "WAROUTER_DB_NAME": "warouter",
        }

    def start(self) -> None:
        """Boot the machine, with an empty database of warouter's login."""
        self._boot()
        self.sql(_ROLE)
        self.sql(_DATABASE)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql prints as the superuser."""
        return self._machine.run(
            *("runuser", "-u", "postgres", "--", "psql", "-AtqX", "-v", "ON_ERROR_STOP=1"),
            *("-d", database, "-f", "-"),
            text=statement,
            seconds=_STATEMENT_SECONDS,
        ).strip()

    async def does(self, commands: str) -> str:
        """What commands of the document print there, as root."""
        return await self._machine.arun("bash", "-ec", commands, seconds=_COMMANDS_SECONDS)

    def archive(self) -> None:
        """Returns when all WAL of this moment is in the repository."""
        last = self.sql("select pg_walfile_name(pg_switch_wal())")
        asked = _ARCHIVED.format(last).strip()
        wait = f'until runuser -u postgres -- psql -Atqc "{asked}" | grep -q t; do sleep 0.1; done'
        self._machine.run("bash", "-ec", wait)

    def lose_data(self) -> None:
        """PostgreSQL dies, and its data is gone."""
        pid = self._machine.run("head", "-n", "1", f"{DATA}/postmaster.pid").strip()
        self._machine.run("bash", "-ec", f"kill -KILL {pid}; rm -rf {DATA}")

    def lose_machine(self) -> None:
        """The machine is gone with its disk; a new one has its address, and nothing of the data."""
        self._machine.remove()
        self._machine = self._new()
        self._boot()

    def remove(self) -> None:
        self._machine.remove()

    def _new(self) -> Machine:
        machine = Machine(rootfs("backup"), self._folder, NUMBER)
        subprocess.run(
            ["mount", "--bind", str(self._repository), str(machine.root / REPOSITORY)], check=True
        )
        for path, text in document.files().items():
            machine.write(path, text)
        machine.write(f"{_CONFIGURATION}/conf.d/network.conf", _NETWORK)
        machine.write(f"{_CONFIGURATION}/server.crt", self._pair.pem)
        machine.write(f"{_CONFIGURATION}/server.key", self._pair.key, 0o600)
        os.chown(machine.root / f"{_CONFIGURATION}/server.key".lstrip("/"), *_account())
        rules = machine.root / f"{_CONFIGURATION}/pg_hba.conf".lstrip("/")
        rules.write_text(rules.read_text() + _WHO)
        return machine

    def _boot(self) -> None:
        self._machine.boot()
        self._machine.run("bash", "-ec", _ANSWERS)


def _account() -> tuple[int, int]:
    """The numbers of the account ``postgres`` there."""
    lines = (rootfs("backup") / "etc" / "passwd").read_text().splitlines()
    (found,) = (line.split(":") for line in lines if line.startswith("postgres:"))
    return int(found[2]), int(found[3])

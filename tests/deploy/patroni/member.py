"""One machine of the three: etcd, Patroni and PostgreSQL 17 by Debian's own units."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trustme import CA

from tests.deploy.machine import Machine
from tests.harness.certificates import text_of
from warouter.errors import CommandError

SCOPE = "warouter"
CONFIG = "/etc/patroni/config.yml"
PASSWORD = "patroni-suite"  # of every role: nothing but the suite reaches them
ASK_SECONDS = 2.0
COMMAND_SECONDS = 60.0  # patronictl waits long when etcd is away
_BIN = "/usr/lib/postgresql/17/bin"
_SOCKETS = "/var/run/postgresql"
_DATA = "/var/lib/postgresql/17/warouter"
_TLS = "/etc/patroni/tls"
_ETCD = """ETCD_NAME={name}
ETCD_LISTEN_PEER_URLS=http://0.0.0.0:2380
ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://{address}:2380
ETCD_ADVERTISE_CLIENT_URLS=http://{address}:2379
ETCD_INITIAL_CLUSTER={members}
ETCD_INITIAL_CLUSTER_STATE=new
ETCD_INITIAL_CLUSTER_TOKEN=warouter
"""
_STOPS_SOON = """[Service]
TimeoutStopSec=1s
"""
_HBA = (
    "local all all peer",
    "hostssl all postgres samenet scram-sha-256",
    "hostssl replication replicator samenet scram-sha-256",
    "hostssl all warouter samenet scram-sha-256",
)


class Member(Machine):
    """A machine of the suite's network with a database in it."""

    def prepare(self, all_of_them: Sequence[Member], dcs: Mapping[str, Any], authority: CA) -> None:
        """Write what it needs before it boots: ``dcs`` is Patroni's configuration for all three,
        ``authority`` signs its certificate.
        """
        # The cluster that the package made would stand in the way of Patroni's at port 5432.
        mask = self.root / "etc/systemd/system/postgresql.service"
        mask.symlink_to("/dev/null")
        peers = ",".join(f"{m.name}=http://{m.address}:2380" for m in all_of_them)
        etcd = _ETCD.format(name=self.name, address=self.address, members=peers)
        self.write("/etc/default/etcd", etcd)
        # Patroni asks its own server at localhost, and verifies it as well.
        leaf = authority.issue_cert(self.address, "localhost")
        chain = "".join(pem.bytes().decode() for pem in leaf.cert_chain_pems)
        self._write_owned(f"{_TLS}/server.crt", chain)
        self._write_owned(f"{_TLS}/server.key", leaf.private_key_pem.bytes().decode())
        self._write_owned(f"{_TLS}/ca.crt", text_of(authority))
        etcds = [f"{m.address}:2379" for m in all_of_them]
        # That all processes of a unit were killed is known at once; a systemd in a container with
        # the old kind of control groups is not told.
        self.write("/etc/systemd/system/patroni.service.d/suite.conf", _STOPS_SOON)
        self._write_owned(CONFIG, json.dumps(self._configuration(etcds, dcs), indent=2))

    def _configuration(self, etcds: Sequence[str], dcs: Mapping[str, Any]) -> dict[str, Any]:
        """config.yml; JSON is YAML."""
        tls = {"sslmode": "verify-full", "sslrootcert": f"{_TLS}/ca.crt", "password": PASSWORD}
        return {
            "scope": SCOPE,
            "name": self.name,
            "restapi": {"listen": "0.0.0.0:8008", "connect_address": f"{self.address}:8008"},
            "etcd3": {"hosts": list(etcds)},
            "bootstrap": {
                "dcs": dict(dcs),
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": "0.0.0.0:5432",
                "connect_address": f"{self.address}:5432",
                "data_dir": _DATA,
                "bin_dir": _BIN,
                "pgpass": "/var/lib/postgresql/.pgpass-patroni",
                "use_unix_socket": True,
                "authentication": {
                    "superuser": {"username": "postgres", **tls},
                    "replication": {"username": "replicator", **tls},
                },
                "parameters": {
                    "unix_socket_directories": _SOCKETS,
                    "ssl": True,
                    "ssl_cert_file": f"{_TLS}/server.crt",
                    "ssl_key_file": f"{_TLS}/server.key",
                },
                "pg_hba": list(_HBA),
            },
        }

    async def ask(self, path: str, change: Mapping[str, Any] | None = None) -> Any:
        """What its Patroni answers to a GET, or to a PATCH of ``change``; None if it does not."""
        return await asyncio.to_thread(self._ask, path, change)

    def _ask(self, path: str, change: Mapping[str, Any] | None) -> Any:
        body = None if change is None else json.dumps(change).encode()
        request = urllib.request.Request(
            f"http://{self.address}:8008{path}", data=body, method="PATCH" if body else "GET"
        )
        try:
            with urllib.request.urlopen(request, timeout=ASK_SECONDS) as answer:
                return json.load(answer)
        except (OSError, ValueError, urllib.error.URLError):
            return None

    async def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql prints there, as the superuser, through the socket: also with no network."""
        where = (f"{_BIN}/psql", "-h", _SOCKETS, "-p", "5432", "-d", database)
        psql = (*where, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement)
        said = await self.arun("runuser", "-u", "postgres", "--", *psql, seconds=COMMAND_SECONDS)
        return said.strip()

    async def takes_writes(self) -> bool:
        """Whether its PostgreSQL is a primary, whatever Patroni thinks of it."""
        try:
            return await self.sql("select pg_is_in_recovery()") == "f"
        except CommandError:
            return False  # it is down, or starts

    def promoted(self) -> float:
        """The wall clock's time at which its PostgreSQL began its newest timeline."""
        histories = (self.root / _DATA.lstrip("/") / "pg_wal").glob("*.history")
        return max(histories).stat().st_mtime

    async def patronictl(self, *words: str) -> str:
        return await self.arun("patronictl", "-c", CONFIG, *words, seconds=COMMAND_SECONDS)

    # what a fault does to it

    async def kill(self, *, everything: bool) -> None:
        """SIGKILL to PostgreSQL, and first to Patroni if to ``everything``."""
        if everything:
            kill = ("systemctl", "kill", "--signal=KILL", "--kill-whom=all", "patroni")
        else:
            kill = ("pkill", "--signal", "KILL", "--exact", "postgres")
        await self.arun(*kill)

    def cable(self, *, plugged: bool) -> None:
        """The port of the bridge that it is at lets nothing through, and says nothing.

        The carrier stays, so that no side sees an error of its own.
        """
        state = "forwarding" if plugged else "disabled"
        subprocess.run(
            ["bridge", "link", "set", "dev", f"vb-{self.name}", "state", state], check=True
        )

    async def apart(self, others: Sequence[Member], *, parted: bool) -> None:
        """Packets to these vanish, as at a neighbour who is not there; all others get theirs."""
        for other in others:
            nobody = ("lladdr", "02:00:00:00:ff:ff", "nud", "permanent")
            words = ("replace", other.address, *nobody) if parted else ("delete", other.address)
            await self.arun("ip", "neighbour", *words, "dev", "host0")

    def _write_owned(self, path: str, text: str) -> None:
        """A file that only PostgreSQL's account there reads."""
        self.write(path, text, 0o600)
        lines = Path(self.root / "etc/passwd").read_text().splitlines()
        fields = next(line.split(":") for line in lines if line.startswith("postgres:"))
        file = self.root / path.lstrip("/")
        os.chown(file, int(fields[2]), int(fields[3]))
        os.chmod(file.parent, 0o755)

"""Hosts of a cluster on one machine, and the cuts between them.

``Namespaces``: each process has a network namespace of its own with three interfaces, to the
database, to the upstream and to the other processes (links). A cut is a permanent neighbour entry
with a hardware address that nobody has, at *both* ends: packets leave and nobody gets them, as with
a switch that died. (Taking an interface down is no partition: local errors are seen at once.)
It needs root; the harness itself runs in a namespace of its own, so nothing is left behind.

``Proxies``: without root each process reaches database and upstream through a TCP proxy, and a cut
is a proxy that forwards nothing. Links are not cut there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Protocol

from tests.harness import programs
from warouter.local.options import Placement

DATABASE, UPSTREAM, LINK = "data", "wa", "links"
NETS = (DATABASE, UPSTREAM, LINK)
# A neighbour that nobody is, and that there is none.
_LOST = "neigh replace {} lladdr 02:00:00:00:00:01 nud permanent dev {}"
_FOUND = "neigh del {} dev {}"
_INSIDE = "CHAOS_INSIDE"
# The database's name is in /etc/hosts, all others are asked for at the name server, for as long as
# may be.
NAME_SERVER = "10.77.1.1"
_DATABASE_NAME = "database.test"
_NAMES = {
    "/etc/hosts": f"127.0.0.1 localhost\n10.77.1.1 {_DATABASE_NAME}\n",
    "/etc/resolv.conf": f"nameserver {NAME_SERVER}\noptions timeout:30 attempts:5\n",
}


class Upstream(Protocol):
    """What processes need to know to reach their upstream."""

    def port(self) -> int: ...

    def environment(self, host: str, port: int) -> dict[str, str]:
        """Of a process that reaches it there."""
        ...


def enter_namespace() -> None:
    """Run this program again in a network and mount namespace of its own, if it may."""
    if os.environ.get(_INSIDE) or not _may_make_namespaces():
        return
    os.environ[_INSIDE] = "1"
    command = ["unshare", "--net", "--mount", sys.executable, *sys.orig_argv[1:]]
    os.execvp("unshare", command)


def usable() -> bool:
    """Whether namespaces can be made here."""
    return bool(os.environ.get(_INSIDE))


def _may_make_namespaces() -> bool:
    if os.geteuid() != 0 or programs.find("ip") is None:
        return False
    return subprocess.run(["unshare", "--net", "--mount", "true"]).returncode == 0


class Namespaces:
    """A namespace per process. Addresses are 10.77.<network>.<process>; the harness is .1."""

    cuts: tuple[str, ...] = NETS  # the networks that can be cut here
    simulator_host = "10.77.2.1"

    def __init__(self, upstream: Upstream) -> None:
        self.postgres_options = {"listen_addresses": "10.77.1.1"}
        self._upstream = upstream
        self._numbers: dict[str, int] = {}
        names = Path("/run/netns")
        names.mkdir(exist_ok=True)
        _run("mount", "-t", "tmpfs", "none", str(names))  # on a mount namespace of our own
        for path, text in _NAMES.items():
            _cover(path, text)
        lines = ["link set lo up"]
        for n, net in enumerate(NETS, 1):
            lines += [
                # Its own address: else it takes a port's, and another one when ports are added.
                f"link add br-{net} address 02:00:00:00:01:0{n} type bridge",
                f"addr add 10.77.{n}.1/24 dev br-{net}",
                f"link set br-{net} up",
            ]
        _batch(lines)

    def place(self, name: str, role: str) -> Placement:
        """How a process is started so that its traffic can be cut."""
        self._admit(name)
        environment = {
            "WA_DB_HOSTNAME": _DATABASE_NAME,
            "WA_DB_PORT": "5432",
            "WAROUTER_DB_SSL": "off",  # the embedded server has no TLS
            **self._upstream.environment(self.simulator_host, self._upstream.port()),
        }
        if role == "coreapp":
            environment["COREAPP_HOSTNAME"] = self._address(name, LINK)
        if role == "webapp":
            environment["WEBAPP_HOSTNAME"] = self._address(name, LINK)
        return Placement(prefix=("ip", "netns", "exec", name), environment=environment)

    def webapp_host(self, name: str) -> str:
        """Where clients reach this webapp."""
        return self._address(name, LINK)

    def listen_host(self, name: str) -> str:
        """Where this webapp hears webhooks of its upstream."""
        self._admit(name)
        return self._address(name, UPSTREAM)

    def database_host(self, name: str) -> str:
        """Where PostgreSQL sees this process come from."""
        return self._address(name, DATABASE)

    def cut(self, name: str, net: str) -> None:
        """Nothing passes between this process and anything else on ``net``."""
        self._set(_LOST, name, net)

    def heal(self, name: str, net: str) -> None:
        self._set(_FOUND, name, net)

    def cut_pair(self, one: str, other: str) -> None:
        """Nothing passes between these two on the link network."""
        self._set_pair(_LOST, one, other)

    def heal_pair(self, one: str, other: str) -> None:
        self._set_pair(_FOUND, one, other)

    async def close(self) -> None:
        """Take everything down, so that the next cluster finds nothing."""
        _batch([f"netns del {name}" for name in self._numbers])
        _batch([f"link del br-{net}" for net in NETS])
        for path in _NAMES:
            _run("umount", path)

    def _admit(self, name: str) -> None:
        if name not in self._numbers:
            self._add(name, 10 + len(self._numbers))

    def _add(self, name: str, number: int) -> None:
        self._numbers[name] = number
        lines = [f"netns add {name}"]
        for net in NETS:
            port = f"v{number}{net}"
            lines += [
                f"link add {port} type veth peer name {net} netns {name}",
                f"link set {port} master br-{net} up",
            ]
        _batch(lines)
        inside = ["link set lo up"]
        for net in NETS:
            inside += [
                f"addr add {self._address(name, net)}/24 dev {net}",
                f"link set {net} up",
            ]
        _batch(inside, name)

    def _set(self, how: str, name: str, net: str) -> None:
        _batch([how.format(self._address(name, net), f"br-{net}")])
        _batch([how.format(f"10.77.{_index(net)}.1", net)], name)
        for other in self._numbers.keys() - {name} if net == LINK else ():
            self._set_pair(how, name, other)

    def _set_pair(self, how: str, one: str, other: str) -> None:
        for here, there in ((one, other), (other, one)):
            _batch([how.format(self._address(there, LINK), LINK)], here)

    def _address(self, name: str, net: str) -> str:
        return f"10.77.{_index(net)}.{self._numbers[name]}"


def _cover(path: str, text: str) -> None:
    """What the processes read there, on a mount namespace of our own."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(text)
        file.flush()
        Path(file.name).chmod(0o644)
        _run("mount", "--bind", file.name, path)


def _index(net: str) -> int:
    return 1 + NETS.index(net)


def _batch(lines: list[str], namespace: str | None = None) -> None:
    where = ["-n", namespace] if namespace else []
    _run("ip", *where, "-force", "-batch", "-", text="\n".join(lines) + "\n")


def _run(*command: str, text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0 and "neigh del" not in text:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()} ({text.strip()})")

"""What a process of this host says about its health, at a Unix socket; asked by ``healthcheck``.

Each process listens at an abstract name, ``@warouter/ROLE/INCARNATION``: it needs no directory,
ends with its process, and is found in /proc/net/unix. Whoever connects gets one JSON object and the
end of the connection. A loop that hangs does not answer, and the database is not asked, so that a
check costs it nothing. Names are those of a network namespace, which containers may share: the
processes of another one have no pid here, and are left out.

Light: no asyncio, no driver. The other side is ``answering``.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

PREFIX = "warouter/"
LISTED = Path("/proc/net/unix")
MOST_BYTES = 4_096
ASK_SECONDS = 3.0  # for all processes of a host together
LEAST_SECONDS = 0.1  # for each of them
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


@dataclass(frozen=True)
class Health:
    """What a process says. ``beat_s`` is the age in seconds of the last beat that the database
    answered, None before the first; ``listens`` is where a webapp serves: host, port, with TLS.
    """

    role: str
    name: str
    pid: int
    status: str
    beat_s: float | None = None
    stopping: bool = False
    problem: str = ""  # why a coreapp cannot write its journals
    listens: tuple[str, int, bool] | None = None

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True)
class Asked:
    """A process that was found; ``health`` is None if it did not answer."""

    role: str
    pid: int
    health: Health | None


def addresses(role: str) -> list[str]:
    """The names at which processes of this network namespace listen, of each role if it is ""."""
    found = set()
    with suppress(OSError):
        for line in LISTED.read_text("utf-8", "replace").splitlines():
            _, _, name = line.rpartition(" @")
            if name.startswith(f"{PREFIX}{role}/" if role else PREFIX):
                found.add("\0" + name)
    return sorted(found)


def ask(role: str = "") -> list[Asked]:
    """Ask every process of this host; those that end meanwhile are left out."""
    until = time.monotonic() + ASK_SECONDS
    return [asked for name in addresses(role) if (asked := _ask(name, until)) is not None]


def _ask(address: str, until: float) -> Asked | None:
    _, role, _ = address.split("/", 2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(max(until - time.monotonic(), LEAST_SECONDS))
        try:
            sock.connect(address)
        except (TimeoutError, BlockingIOError):
            return Asked(role, 0, None)  # connections wait that it has not accepted
        except OSError:
            return None
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, _, _ = _CREDENTIALS.unpack(raw)
        if pid == 0:
            return None
        try:
            said = _read(sock)
        except TimeoutError:
            return Asked(role, pid, None)
        except OSError:
            return None
    return Asked(role, pid, _decoded(said)) if said else None


def _read(sock: socket.socket) -> bytes:
    said = b""
    while len(said) < MOST_BYTES and (part := sock.recv(MOST_BYTES)):
        said += part
    return said


def _decoded(said: bytes) -> Health | None:
    """What another build may have said: fields that are not known here are left out."""
    try:
        told = json.loads(said)
        known = {field.name: told[field.name] for field in fields(Health) if field.name in told}
        listens = known.pop("listens", None)
        return Health(**known, listens=tuple(listens) if listens else None)
    except (ValueError, TypeError):
        return None

"""Asks a process of this host about its health, at a Unix socket, for ``healthcheck``.

Each process listens at an abstract name, ``@warouter/ROLE/INCARNATION``: it needs no directory,
ends with its process, and is found in /proc/net/unix. Whoever connects gets one JSON object and the
end of the connection. A loop that hangs does not answer, and the database is not asked, so that a
check costs it nothing. Names are those of a network namespace, which containers may share: the
processes of another one have no pid here, and are left out.

Every account of the host may take such a name, so only some are believed: see ``_believed``.

Light: no asyncio, no driver. The other side is ``answering``.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import struct
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

PREFIX = "warouter/"
LISTED = Path("/proc/net/unix")
LISTENS = "00010000"  # the flags of a listener there; what it accepted has its name, too
ACCOUNT = "warouter"  # of the packages and units
MOST_BYTES = 4_096
ASK_SECONDS = 3.0  # for all processes of a host together
LEAST_SECONDS = 0.1  # for each of them
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


@dataclass(frozen=True)
class ProcessHealth:
    """The health of a process, in its own words.

    ``beat_s`` is the age in seconds of the last beat that the database answered, None before the
    first; ``listens`` is where a webapp or a console serves: host, port, with TLS.
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
class FoundProcess:
    """A process that was found; ``health`` is None if it did not answer.

    ``stranger`` is the uid of an account that is not believed; nothing was asked there.
    """

    role: str
    pid: int
    health: ProcessHealth | None
    stranger: int | None = None


def addresses(role: str) -> dict[str, str]:
    """The names at which processes of this network namespace listen, of each role if it is "",
    with the inodes of their sockets.
    """
    found = {}
    with suppress(OSError):
        for line in LISTED.read_text("utf-8", "replace").splitlines():
            head, _, name = line.rpartition(" @")
            flags, *_, inode = head.split()[3:] or ("", "")
            wanted = name.startswith(f"{PREFIX}{role}/" if role else PREFIX)
            if wanted and name.count("/") == 2 and flags == LISTENS:
                found["\0" + name] = inode
    return dict(sorted(found.items()))


def ask(role: str = "", pids: Collection[int] | None = None) -> list[FoundProcess]:
    """Ask every process of this host, or those of ``pids``, which are believed whoever runs them;
    those that end meanwhile are left out.
    """
    until = time.monotonic() + ASK_SECONDS
    found = [_ask(name, inode, pids, until) for name, inode in addresses(role).items()]
    return [asked for asked in found if asked is not None]


def _ask(
    address: str, inode: str, pids: Collection[int] | None, until: float
) -> FoundProcess | None:
    role = address.split("/")[1]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(max(until - time.monotonic(), LEAST_SECONDS))
        try:
            pid, uid, reached = _reach(sock, address, inode)
            if pid == 0 or (pids is not None and pid not in pids):
                return None
            if pids is None and not _believed(uid):
                return FoundProcess(role, pid, None, stranger=uid)
            said = _read(sock) if reached else None
        except TimeoutError:
            said = None
        except OSError:
            return None
    if said is None:
        return FoundProcess(role, pid, None)
    return FoundProcess(role, pid, _decoded(said)) if said else None


def _reach(sock: socket.socket, address: str, inode: str) -> tuple[int, int, bool]:
    """The pid and uid of who listens, and whether there is a connection."""
    try:
        sock.connect(address)
    except (TimeoutError, BlockingIOError):  # connections wait that it has not accepted
        return *_holder(inode), False
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return pid, uid, True


def _believed(uid: int) -> bool:
    """True for the account that asks, root, and the account of the packages."""
    if uid in (0, os.geteuid()):
        return True
    try:
        return uid == pwd.getpwnam(ACCOUNT).pw_uid
    except KeyError:
        return False


def _holder(inode: str) -> tuple[int, int]:
    """The pid and uid of a process with this socket, among those whose files may be looked at."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if os.readlink(link) == f"socket:[{inode}]":
                return int(link.parts[2]), link.parents[1].stat().st_uid
    return 0, 0


def _read(sock: socket.socket) -> bytes:
    said = b""
    while len(said) < MOST_BYTES and (part := sock.recv(MOST_BYTES)):
        said += part
    return said


def _decoded(said: bytes) -> ProcessHealth | None:
    """Decode the words of this or another build: fields that are not known here are left out."""
    try:
        told = json.loads(said)
        known = {
            field.name: told[field.name] for field in fields(ProcessHealth) if field.name in told
        }
        listens = known.pop("listens", None)
        return ProcessHealth(**known, listens=tuple(listens) if listens else None)
    except (ValueError, TypeError, RecursionError):
        return None

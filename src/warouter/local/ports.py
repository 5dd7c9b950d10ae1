"""Ports for the processes of a cluster on this machine, chosen before they are taken."""

from __future__ import annotations

import errno
import os
import random
import socket
from collections.abc import Iterable
from pathlib import Path

from warouter.errors import CommandError

LOWEST = 10_240
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 1_000

_claims: dict[int, int] = {}  # port -> the descriptor that holds it


def free_port() -> int:
    """A free port of 127.0.0.1, a different one each time.

    It is below those that the kernel gives to outgoing connections: one of them would take the port
    before its process does, or while it restarts. No other process on this machine is given it
    while this one lives and does not release it.
    """
    beyond = max(_first_outgoing(), LOWEST + 1)
    for _ in range(_TRIES):
        port = random.randrange(LOWEST, beyond)
        if _claim(port):
            if _free(port):
                return port
            release([port])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:  # a range of another kind
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def release(ports: Iterable[int]) -> None:
    """Allow these ports to be given again, here and to other processes."""
    for port in ports:
        claim = _claims.pop(port, None)
        if claim is not None:
            os.close(claim)


def _claim(port: int, address: str = "") -> bool:
    """True if no process in this network namespace was given the port, "" is that of 127.0.0.1.

    A claim is a socket with an abstract name: the kernel lets one process have the name, and takes
    it back when that process ends, however it ends.
    """
    if port in _claims:
        return False
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0warouter-port-{port}{address}")
    except OSError:
        claim.close()
        return False
    _claims[port] = claim.detach()
    return True


def _first_outgoing() -> int:
    try:
        return int(_OUTGOING.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def take(port: int, address: str = "127.0.0.1", remedy: str = "give --port") -> int:
    """The port, if it is free; webapps share it later, so it is only looked at here.

    Two that look at once would both find it so, as long as neither listens: it is given to one
    process on this machine. ``remedy`` is what else one can do in CommandError.
    """
    if not _claim(port, "" if address in ("127.0.0.1", "0.0.0.0") else f"@{address}"):
        raise CommandError(
            f"Port {port} is taken (another cluster on this machine begins there): stop that one,"
            f" or {remedy}."
        )
    try:
        _look_at(port, address, remedy)
    except CommandError:
        release([port])
        raise
    return port


def _look_at(port: int, address: str, remedy: str) -> None:
    """CommandError if the port cannot be taken at this address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CommandError(
                    f"Port {port} at {address} cannot be taken ({error.strerror}): give --listen an"
                    " address of this host, and --port one that this account may use."
                ) from error
            raise CommandError(
                f"Port {port} is taken ({error.strerror}): stop what uses it, or {remedy}."
            ) from error

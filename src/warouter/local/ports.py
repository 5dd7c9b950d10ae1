"""Ports for the processes of a cluster on this machine, chosen before they are taken."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 10_240
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 1_000

_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and another one each time.

    It is below those that the kernel gives to outgoing connections: one of them would take the port
    before its process does, or while it restarts.
    """
    beyond = max(_first_outgoing(), LOWEST + 1)
    for _ in range(_TRIES):
        port = random.randrange(LOWEST, beyond)
        if port not in _given and _free(port):
            _given.add(port)
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:  # a range of another kind
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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

"""What is different where ``warouter up`` is the program of a container."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

# Docker makes the first, Podman the second; others at least start their program as process 1.
MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
EVERYWHERE, HERE = "0.0.0.0", "127.0.0.1"


def inside() -> bool:
    return os.getpid() == 1 or any(mark.exists() for mark in MARKS)


def listen_address(told: str) -> str:
    """Where webapps listen: as told, else on loopback; in a container that would reach nobody."""
    return told or (EVERYWHERE if inside() else HERE)


def reap(own: Collection[int | None]) -> list[int]:
    """Take the exit codes of orphans, which process 1 inherits; they would stay as zombies.

    ``own`` are pids of children that somebody else waits for. Returns the pids of the others.
    """
    gone = []
    while (ended := _ended()) is not None and ended not in own:
        os.waitpid(ended, os.WNOHANG)
        gone.append(ended)
    return gone


def _ended() -> int | None:
    """A child that has ended and was not waited for; it stays so."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found is not None else None

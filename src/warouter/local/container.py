"""The differences where ``warouter up`` is the program of a container."""

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


class Orphans:
    """Orphans that process 1 inherits: without a wait for their exit codes they stay zombies."""

    def __init__(self) -> None:
        self._seen: int | None = None

    def look(self, own: Collection[int | None]) -> int | None:
        """Bury one, whose pid is returned; ``own`` are children that somebody else waits for.

        Only what the look before has seen too: one that is just being started is nobody's yet.
        """
        before, self._seen = self._seen, _ended()
        if self._seen is None or self._seen in own or self._seen != before:
            return None
        os.waitpid(self._seen, os.WNOHANG)
        self._seen = _ended()
        return before


def _ended() -> int | None:
    """A child that has ended and was not waited for; it stays so."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found is not None else None

"""Processes whose file descriptors are used up."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from warouter.local.process import Process

FILES = resource.RLIMIT_NOFILE


@contextmanager
def used_up(processes: Sequence[Process]) -> Iterator[None]:
    """They may open nothing more: their limit lies below what they have open."""
    before = [(p, p.pid, resource.prlimit(p.pid, FILES)) for p in processes if p.pid is not None]
    for _, pid, (_, hard) in before:
        resource.prlimit(pid, FILES, (3, hard))
    try:
        yield
    finally:
        for process, pid, limits in before:
            if process.alive and process.pid == pid:
                resource.prlimit(pid, FILES, limits)

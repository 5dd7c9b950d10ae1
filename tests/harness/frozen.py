"""A server's processes that stand still."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def frozen(pids: Sequence[int]) -> Iterator[None]:
    """None of these processes runs within; the first of them goes on last."""
    try:
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(pids):
            _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    """A backend may have ended since it was listed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)

"""Addresses that must wait after failed attempts, known to this process without the database."""

from __future__ import annotations

import asyncio

MOST = 4096


class Waits:
    """Times until which addresses must wait. ``now`` is a clock of the
    caller that never goes back; ``judging`` admits one guess at a time.
    """

    def __init__(self) -> None:
        self.judging = asyncio.Lock()
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def left(self, address: str, now: float) -> float:
        """Seconds that the address must still wait; 0 if it need not."""
        return max(self._until.get(address, now) - now, 0.0)

    def set(self, address: str, seconds: float, now: float) -> None:
        """Let the address wait. If there are too many, the oldest entry is forgotten."""
        self._until.pop(address, None)
        if len(self._until) >= MOST:
            del self._until[next(iter(self._until))]
        self._until[address] = now + seconds

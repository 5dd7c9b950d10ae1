"""Which addresses must wait, as far as this process knows: asked without the database."""

from __future__ import annotations

import asyncio

MOST = 4096


class Waits:
    """``now`` is the caller's clock, which never goes back. ``judging``: one guess at a time is."""

    def __init__(self) -> None:
        self.judging = asyncio.Lock()
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def left(self, address: str, now: float) -> float:
        """Seconds that the address must wait yet; 0 if it need not."""
        return max(self._until.get(address, now) - now, 0.0)

    def set(self, address: str, seconds: float, now: float) -> None:
        """Let it wait. Of too many that wait, who was told first is forgotten."""
        self._until.pop(address, None)
        if len(self._until) >= MOST:
            del self._until[next(iter(self._until))]
        self._until[address] = now + seconds

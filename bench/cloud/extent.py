"""How much is done: all, or a little, to see that the bench works."""

from __future__ import annotations

from typing import NamedTuple


class Extent(NamedTuple):
    """``seconds`` is the most that any one stretch of load lasts; counts are messages or users."""

    seconds: float = 600.0
    backlog: int = 50_000
    identities: int = 100_000
    doubts: int = 1_000_000
    grown: int = 1_000_000  # life cycles

    def lasts(self, seconds: float) -> float:
        """A stretch that lasts so long when all is done."""
        return min(self.seconds, seconds)


FULL = Extent()
QUICK = Extent(seconds=6.0, backlog=2_000, identities=5_000, doubts=20_000, grown=20_000)

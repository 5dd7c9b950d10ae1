"""How much is done: all, less beside another build, or a little, to see that the bench works."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Extent(NamedTuple):
    """Counts are messages or rows, times seconds; ``build`` is another clone, None is this one."""

    build: Path | None = None
    rounds: int = 5
    side_seconds: float = 2.5  # of one side of a round
    connections: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    life_seconds: float = 300.0
    backlog: int = 1_000_000
    shards: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    windows: int = 5  # of two seconds, at each number of shards
    growth_seconds: float = 1.5
    callbacks: int = 100_000
    journal: tuple[int, ...] = (10_000, 1_000_000, 10_000_000)


FULL = Extent()
TURN = Extent(rounds=1, life_seconds=30.0, backlog=200_000)  # one of several
QUICK = Extent(
    rounds=1,
    side_seconds=1.0,
    connections=(4, 64),
    life_seconds=20.0,
    backlog=60_000,
    shards=(1, 4),
    windows=1,
    growth_seconds=1.0,
    callbacks=40_000,
    journal=(10_000, 100_000, 2_000_000),
)

"""What a nemesis did, when, to whom: the lines of the campaign's log."""

from __future__ import annotations

import msgspec


class Mark(msgspec.Struct, kw_only=True):
    """One fault. Times are monotonic seconds, ``wall`` is Unix time of ``at``.

    ``owned`` are the victims' slots with their epochs at that moment. ``recovered`` is when every
    slot was owned, settled and sending again; None: not within the time that is promised.
    """

    kind: str
    at: float
    wall: float
    healed: float = 0.0
    recovered: float | None = None
    victims: list[str] = []
    owned: dict[int, int] = {}
    count: int = 0  # shards at that moment
    repeats: int = 0  # ids that came to the upstream again, up to the recovery
    stale: int = 0  # sends under an ended epoch that reached the upstream, first or again
    moved: list[int] = []  # slots whose owner changed (set-shards)
    call_s: float | None = None  # how long the call took (set-shards)
    shards: tuple[int, int] | None = None  # from, to
    accepts: float | None = None  # when PostgreSQL took connections again
    fence: bool = True  # whether the simulator's own fence was on
    delays: bool = False  # evidence of what was taken meanwhile came after the window
    busy: float = 0.0  # in so much of the time somebody waited for a CPU of this machine
    wrong: list[str] = []  # what the nemesis itself found

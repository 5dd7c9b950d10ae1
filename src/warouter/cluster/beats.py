"""Which processes still beat, for an onlooker; only the leader's judgement counts."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID


class BeatAges:
    """The time for which each counter has stood still, in seconds.

    A gap between two looks adds at most ``most``: one who was itself away has seen nobody silent.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._looked_at: float | None = None
        self._counters: Mapping[UUID, int | None] = {}
        self._silence: dict[UUID, float] = {}

    def observe(self, now: float, counters: Mapping[UUID, int | None]) -> None:
        gap = 0.0 if self._looked_at is None else min(now - self._looked_at, self._most)
        self._looked_at = now
        self._silence = {
            inc: self._silence.get(inc, 0.0) + gap if self._counters.get(inc) == counter else 0.0
            for inc, counter in counters.items()
        }
        self._counters = counters

    def silent(self, seconds: float) -> set[UUID]:
        """Return the nodes that have been silent for at least this many seconds."""
        return {inc for inc, silence in self._silence.items() if silence >= seconds}

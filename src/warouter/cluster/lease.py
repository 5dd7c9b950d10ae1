"""The lease: until when an owner may act for each of its slots.

A deadline is the moment *before* the last successful beat was sent, plus lease minus margin, on a
clock that goes on while the machine is suspended. It is asked before every write to the upstream
socket and every callback.
"""

from __future__ import annotations

from collections.abc import Iterable


class Lease:
    """Deadlines of slots, in the caller's seconds."""

    def __init__(self, trust: float) -> None:
        self._trust = trust
        self._deadline: dict[int, float] = {}

    def renewed(self, sent: float, slots: Iterable[int]) -> None:
        """A beat sent at ``sent`` was answered with ``slots``: their deadlines are extended."""
        for slot in slots:
            self._deadline[slot] = max(self._deadline.get(slot, sent), sent + self._trust)

    def end(self, slot: int) -> None:
        self._deadline.pop(slot, None)

    def holds(self, slot: int, now: float) -> bool:
        return now < self._deadline.get(slot, float("-inf"))

    def lapsed(self, now: float) -> list[int]:
        """Slots whose deadline has passed."""
        return [slot for slot, deadline in self._deadline.items() if now >= deadline]

    def next_deadline(self) -> float | None:
        return min(self._deadline.values(), default=None)

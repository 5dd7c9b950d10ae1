"""The term of a leader: how long it may act without confirmation.

The window is anchored at the *start* of the attempt that confirmed it: a slow success never
lengthens it (the bug of several published elections).
"""

from __future__ import annotations

import msgspec


class Term(msgspec.Struct, frozen=True):
    """A won term. ``confirmed`` is when the last successful confirmation was *sent*, in seconds."""

    number: int
    confirmed: float
    trust: float  # seconds: lease - margin

    def holds(self, now: float) -> bool:
        return now < self.confirmed + self.trust

    def remaining(self, now: float) -> float:
        return self.confirmed + self.trust - now

    def confirm(self, sent: float) -> Term:
        return Term(self.number, max(self.confirmed, sent), self.trust)

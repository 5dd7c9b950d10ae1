"""The last media that could not be fetched, with the reason: few and short, for the report.

Nothing is written for it. What a process had noted goes when it ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from warouter.flow.posts import line_of, printable

MOST, MOST_CHARS = 25, 200


class Failure(msgspec.Struct, frozen=True):
    """``message`` is the id of the message, ``direction`` outgoing or inbound; ``at`` is UTC."""

    at: str
    direction: str
    message: str
    type: str
    reason: str


class Failures:
    """Keeps the newest ``MOST`` failures."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._last: deque[Failure] = deque(maxlen=MOST)

    def note(self, direction: str, message: str, type: str, reason: str) -> None:
        """A ``reason`` may quote whatever somebody has sent: no report may fail by it."""
        at = f"{self._now():%Y-%m-%dT%H:%M:%SZ}"
        words = (printable(message), printable(type), line_of(reason[:MOST_CHARS]))
        self._last.append(Failure(at, direction, *(text[:MOST_CHARS] for text in words)))

    def shown(self) -> list[Failure]:
        """The last ones, newest first."""
        return list(reversed(self._last))

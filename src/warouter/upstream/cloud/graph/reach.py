"""Notes if one coreapp hears answers of the Graph API, or nothing but failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# Failures for so long, and nothing else: this coreapp is cut off. Only a failure shows that time
# has passed: one that has nothing to send hears nothing.
TRYING_SECONDS = 10.0
PAUSE_SECONDS = 30.0  # longer than a request takes: what failed before it says nothing of now


class Reach:
    """Times are by ``clock``, in seconds. ``turned`` is set whenever ``well`` changes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.failing_since: float | None = None  # None: the last that was heard is an answer
        self.failed_at = self.answered_at = float("-inf")
        self.well = True
        self.turned = asyncio.Event()

    @property
    def failing_for(self) -> float:
        """Seconds since the first of the failures; 0 if the last that was heard is an answer."""
        return 0.0 if self.failing_since is None else self._clock() - self.failing_since

    def answered(self) -> None:
        """The Graph API is there, whatever it said."""
        self.answered_at = self._clock()
        self.failing_since = None
        self._turn(well=True)

    def failed(self) -> None:
        """No answer came, or something that is none of the Graph API's."""
        now = self._clock()
        if self.failing_since is None or now - self.failed_at >= PAUSE_SECONDS:
            self.failing_since = now
        self.failed_at = now
        self._judge()

    def failed_with_others(self, since: float) -> None:
        """Count as failing since others have, so that all count as cut off at the same time."""
        if self.failing_since is None:
            return
        self.failing_since = min(self.failing_since, since)
        if self.failing_for >= TRYING_SECONDS:
            self.failed_at = self._clock()
        self._judge()

    def _judge(self) -> None:
        assert self.failing_since is not None
        if self.failed_at - self.failing_since >= TRYING_SECONDS:
            self._turn(well=False)

    def _turn(self, *, well: bool) -> None:
        if well is not self.well:
            self.well = well
            self.turned.set()

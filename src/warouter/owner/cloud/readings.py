"""How far the inbox was read, which decides when a doubt may end.

Whatever came in before a reading began is in it, if it brought all there was of a slot.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from warouter._hash import SLOTS


class Readings:
    """The readings of the inbox, which ``Drain`` begins and ends; times are those of ``clock``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = 0
        self.under_way = False  # rows may be older than what is in memory
        self._read = [-math.inf] * SLOTS

    def begun(self) -> int:
        """How many have begun so far."""
        return self._begun

    def read_at(self, slot: int) -> float:
        """When the last one began that brought all there was of the slot."""
        return self._read[slot]

    def begin(self) -> float:
        """Count the one that begins now, and return the time."""
        self._begun += 1
        self.under_way = True
        return self._clock()

    def end(self, slot: int, began: float) -> None:
        """Note that one which began at that time brought all there was of the slot."""
        self._read[slot] = began

    def over(self) -> None:
        """Note that what was read is taken, or could not be read."""
        self.under_way = False

    def forget(self, slot: int) -> None:
        """The next owner reads the slot's rows anew."""
        self._read[slot] = -math.inf

"""How far the inbox was read, which decides when a doubt may end."""

from __future__ import annotations

from warouter._hash import SLOTS


class Readings:
    """The readings of the inbox, which ``Drain`` begins and ends."""

    def __init__(self) -> None:
        self._begun = 0
        self._ended = [0] * SLOTS

    def begun(self) -> int:
        """How many have begun so far."""
        return self._begun

    def ended(self, slot: int) -> int:
        """The number of the last one that brought all there was of the slot."""
        return self._ended[slot]

    def begin(self) -> int:
        """The number of the one that begins now."""
        self._begun += 1
        return self._begun

    def end(self, slot: int, reading: int) -> None:
        """This one brought all there was of the slot."""
        self._ended[slot] = reading

    def forget(self, slot: int) -> None:
        """The next owner reads the slot's rows anew."""
        self._ended[slot] = 0

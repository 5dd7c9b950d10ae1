"""How long a leader waits for a commit before it counts as lost. Pure.

A commit whose answer did not come in time ends the term, since it may still take effect; to win the
next one takes a commit as well. A limit that stays below what commits take on a slow disk would
have masters win term after term, and no dead owner would ever be succeeded. So it follows them.
"""

from __future__ import annotations


class Patience:
    """``seconds`` is the limit now: never below ``least``, and never above ``most``."""

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most
        self.seconds = least

    def ran_out(self) -> None:
        """True if no answer came in time."""
        self.seconds = min(2 * self.seconds, self._most)

    def answered(self, took: float) -> None:
        """A commit was answered after so many seconds: leave room for one that takes twice that."""
        wanted = max(2 * took, self.seconds / 2, self._least)
        self.seconds = min(wanted, self._most)

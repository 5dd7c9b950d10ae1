"""Limits connections to the link's port that have not proved to know its key. Pure.

Anybody can connect, so strangers have few places, apart from those of links that are proved. When
all are taken, the one that came first from the address with the most gives way: who only holds
places keeps no webapp out, since a webapp proves itself within a round trip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Generic, TypeVar

S = TypeVar("S")


class Strangers(Generic[S]):
    """Unproved connections, at most ``places``, each at an address."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._waiting: dict[S, str] = {}  # in the order they came

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[S]:
        return iter(list(self._waiting))

    def enter(self, stranger: S, address: str) -> S | None:
        """Admit a connection; returns the one that must leave for it, if any."""
        self._waiting[stranger] = address
        if len(self._waiting) <= self._places:
            return None
        counts = Counter(self._waiting.values())
        most = max(counts.values())
        gone = next(s for s, at in self._waiting.items() if counts[at] == most)
        del self._waiting[gone]
        return gone

    def leave(self, stranger: S) -> None:
        """A connection proved itself or is gone; harmless if it was not admitted."""
        self._waiting.pop(stranger, None)

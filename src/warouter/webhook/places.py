"""How many POSTs are under way, and which kind of events may have the next one. Pure.

``most`` is what the application's settings allow at the moment of the call. One place is kept for
the other kind: a receiver that lets every status hang until the time-out still gets its inbound
messages. Of a kind's places half are for what has not failed before: a receiver that lets every
POST of some customers hang still gets those of all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping


class Places:
    """The POSTs of one coreapp that have not ended."""

    def __init__(self) -> None:
        self._posts: Counter[int] = Counter()  # by kind
        self._suspects: Counter[int] = Counter()  # those of them that may hang
        self._events: Counter[int] = Counter()  # by slot

    def any(self, most: int) -> bool:
        """True if one more POST may begin at all."""
        return self._posts.total() < most

    def has(self, kind: int, most: int) -> bool:
        """True if one more POST of this kind may begin."""
        return self._posts[kind] < most - 1

    def may_hang(self, kind: int, most: int) -> bool:
        """True if one more POST of this kind may begin that consists of what failed before."""
        return self._suspects[kind] < max(1, (most - 1) // 2)

    def fewest(self, kinds: Iterable[int]) -> int | None:
        """The one of ``kinds`` with fewer POSTs under way; None if there are no kinds."""
        return min(kinds, key=self._posts.__getitem__, default=None)

    @property
    def events(self) -> int:
        """Events whose POST has not ended."""
        return self._events.total()

    def events_of(self, slot: int) -> int:
        """Events of a slot whose POST has not ended."""
        return self._events[slot]

    def occupy(self, kind: int, events: Mapping[int, int], *, suspects: bool) -> None:
        """One more POST begins, with so many events by slot."""
        self._posts[kind] += 1
        self._suspects[kind] += suspects
        self._events.update(events)

    def release(self, kind: int, events: Mapping[int, int], *, suspects: bool) -> None:
        self._posts[kind] -= 1
        self._suspects[kind] -= suspects
        self._events.subtract(events)

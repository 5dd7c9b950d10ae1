"""Readings that cost much, made less often than once a second. What a visitor was shown after a
click, for a minute.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable
from secrets import token_urlsafe
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

MOST = 200  # of each
SLOW_SECONDS = 0.1
FACTOR = 10.0  # a reading that took a second is good for ten
SHOWN_SECONDS = 60.0


class Spared(Generic[T]):
    """Results by what was asked for: one that took long to make is given again for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, T]] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """The result of ``read``, or its last one; raises what it raises."""
        began = self._clock()
        until, kept = self._kept.get(key, (began, None))
        if kept is not None and until > began:
            return kept
        result = await read()
        took = self._clock() - began
        if took > SLOW_SECONDS:
            forget(self._kept, began)
            self._kept[key] = began + took * (1 + FACTOR), result
        return result


class ShownText(NamedTuple):
    """A text that was shown, and its message."""

    message_id: str
    what: str
    text: str


class Revealed:
    """Keeps for a minute what administrators were shown after a click, under a secret name.

    So an answer leads to a page with it, and its address says nothing to anybody a minute later.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, ShownText]] = {}

    def keep(self, shown: ShownText) -> str:
        now = self._clock()
        forget(self._kept, now)
        name = token_urlsafe(16)
        self._kept[name] = now + SHOWN_SECONDS, shown
        return name

    def get(self, name: str, message_id: str) -> ShownText | None:
        """Return what is shown under the name; None after a minute, or for another message."""
        until, shown = self._kept.get(name, (0.0, None))
        if shown is None or until <= self._clock() or shown.message_id != message_id:
            return None
        return shown


def forget(kept: dict[Hashable, tuple[float, T]], now: float) -> None:
    """Make room for one more: what is over goes, and the oldest of too many."""
    for key in [key for key, (until, _) in kept.items() if until <= now]:
        del kept[key]
    while len(kept) >= MOST:
        del kept[next(iter(kept))]

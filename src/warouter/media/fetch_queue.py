"""Decides which link is fetched next. Times are the caller's seconds. Pure.

Rules of this file:
  * no user has more than ``EACH_USER`` of the places, nor more than ``EACH_ORIGIN`` with links to
    one origin, so there is a place for another user whatever the links of one do;
  * whoever has fewer places goes first, then whoever came first;
  * links to an origin that was slow for a user lately go behind all others.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

PLACES, EACH_USER, EACH_ORIGIN = 8, 4, 2
SLOW_AFTER = 5.0  # seconds in a place
SLOW_FOR = 60.0  # seconds for which that is held against the next ones


class LinkSource(NamedTuple):
    """The user of a link, and its origin."""

    user: bytes
    origin: str


class FetchTurn:
    """A link that waits for a place or has one."""

    __slots__ = ("began", "number", "source")

    def __init__(self, source: LinkSource, number: int) -> None:
        self.source = source
        self.number = number
        self.began: float | None = None


class FetchQueue:
    """Places for fetches, and the links that wait for one."""

    def __init__(
        self, places: int = PLACES, each_user: int = EACH_USER, each_origin: int = EACH_ORIGIN
    ) -> None:
        self._places = places
        self._each_user = each_user
        self._each_origin = each_origin
        self._asked = 0
        self._waiting: dict[LinkSource, deque[FetchTurn]] = {}
        self._users: Counter[bytes] = Counter()  # places by user
        self._sources: Counter[LinkSource] = Counter()
        self._slow: dict[LinkSource, float] = {}  # until when

    def ask(self, source: LinkSource) -> FetchTurn:
        self._asked += 1
        turn = FetchTurn(source, self._asked)
        self._waiting.setdefault(source, deque()).append(turn)
        return turn

    def next(self, now: float) -> FetchTurn | None:
        """The next link that may begin, if any; it has a place until its ``end``."""
        able = [s for s in self._waiting if self._may(s)] if self._room else []
        if not able:
            return None
        source = min(able, key=lambda s: self._rank(s, now))
        turn = self._waiting[source].popleft()
        if not self._waiting[source]:
            del self._waiting[source]
        turn.began = now
        self._users[source.user] += 1
        self._sources[source] += 1
        return turn

    def end(self, turn: FetchTurn, now: float) -> None:
        """A link is done or given up, with or without a place."""
        source = turn.source
        if turn.began is None:
            waiting = self._waiting[source]
            waiting.remove(turn)
            if not waiting:
                del self._waiting[source]
            return
        self._users -= Counter([source.user])
        self._sources -= Counter([source])
        self._slow = {s: until for s, until in self._slow.items() if until > now and s != source}
        if now - turn.began >= SLOW_AFTER:
            self._slow[source] = now + SLOW_FOR

    @property
    def _room(self) -> bool:
        return self._users.total() < self._places

    def _may(self, source: LinkSource) -> bool:
        return (
            self._users[source.user] < self._each_user and self._sources[source] < self._each_origin
        )

    def _rank(self, source: LinkSource, now: float) -> tuple[bool, int, int]:
        slow = self._slow.get(source, now) > now
        return slow, self._users[source.user], self._waiting[source][0].number

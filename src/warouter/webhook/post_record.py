"""Records the POSTs of one coreapp: counters, the last failures, the last hour.

A success costs its counters and no more; only a failure is described.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import NamedTuple

from warouter.flow.event import EventRow
from warouter.flow.posts import Hour, Outlook, PostFailure, PostFailures, Sheet, Tried, text_of
from warouter.kinds import EVENT_KINDS, EVENT_TYPES, STATUS
from warouter.webhook.breaker import Breaker
from warouter.webhook.post import SUCCESS, Ended


class PostResult(NamedTuple):
    """The labels under which ``requests`` and ``duration_ms`` count.

    ``result`` is ``success``, an HTTP status, or ``timeout``, ``address`` (not an allowed one),
    ``tls`` or ``connection``.
    """

    type: str
    result: str


class PostRecord:
    """Counts by ``PostResult``. ``version`` grows with each change of the ``sheet``."""

    def __init__(self) -> None:
        self.requests: Counter[PostResult] = Counter()
        self.duration_ms: Counter[PostResult] = Counter()
        self.version = 0
        self._failures = PostFailures()
        self._hours = {kind: Hour() for kind in EVENT_KINDS}
        self._failing_since: dict[int, int] = {}  # by kind, in ms since 1970
        self._tried: Tried | None = None

    def ended(self, kind: int, batch: list[EventRow], ended: Ended, began: float) -> None:
        """A POST that ``began`` then (monotonic) has ended."""
        now = time.monotonic()
        took_ms = round((now - began) * 1000)
        label = PostResult(EVENT_TYPES[kind], ended.result)
        self.requests[label] += 1
        self.duration_ms[label] += took_ms
        taken = ended.result == SUCCESS
        self._hours[kind].count(now, took_ms, taken=taken)
        if not taken:
            self._failed(kind, batch, ended, took_ms)

    def tried(self, name: str, ended: Ended, began: float) -> None:
        """A test that ``began`` then (monotonic) has ended."""
        took_ms = round((time.monotonic() - began) * 1000)
        text = text_of(ended.text)
        self._tried = Tried(name, _now_ms(), ended.cause, ended.status, took_ms, text)
        self.version += 1

    def failing(self, kind: int, *, lasts: bool) -> None:
        """Callbacks of a kind keep failing, or do no more."""
        if lasts:
            self._failing_since.setdefault(kind, _now_ms())
        else:
            self._failing_since.pop(kind, None)

    def outlook(self, kind: int, breaker: Breaker) -> Outlook:
        return Outlook(
            hour=self._hours[kind].counted(time.monotonic()),
            failing=breaker.failing,
            open=breaker.open,
            since_ms=self._failing_since.get(kind, 0),
        )

    def sheet(self) -> Sheet:
        """The sheet that people are shown beside the figures."""
        return Sheet(self._failures.last(), self._tried)

    def _failed(self, kind: int, batch: list[EventRow], ended: Ended, took_ms: int) -> None:
        self._failures.add(
            PostFailure(
                at_ms=_now_ms(),
                kind=kind,
                event=_message_of(batch[0]),
                events=len(batch),
                result=ended.cause,
                status=ended.status,
                took_ms=took_ms,
                answer=text_of(ended.text),
            )
        )
        self.version += 1


def _message_of(item: EventRow) -> str:
    """The id of the message that an event is about: a status's key is ``<id>:<status>...``."""
    return item.key.split(":")[0] if item.kind == STATUS else item.key


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

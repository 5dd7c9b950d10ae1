"""The outcome of a coreapp's POSTs to the webhook: the last failures, and the last hour. Pure.

A coreapp keeps both in memory and writes them with its report: the failures where only those look
who may see what a receiver has answered, the figures beside its metrics. Both are bounded, whatever
the receiver does: an hour is sixty minutes, and a failure has ``FAILURE_BYTES``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable

import msgspec

from warouter.log import shown

MOST_FAILURES = 100
FAILURE_BYTES = 400
ANSWER_BYTES = 200
_EVENT_CHARS = 80
_MINUTES = 60

# Upper bounds of the durations that are told apart, in milliseconds; a POST ends after 15 s.
BOUNDS_MS = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700),
    *(1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000, 20_000),
)


class PostFailure(msgspec.Struct, frozen=True, array_like=True):
    """One POST that failed. ``event`` is the id of its first event's message, ``events`` how many
    it had.

    ``result`` is ``status``, with the HTTP ``status``; else ``timeout``, ``address`` (not an
    allowed one), ``tls``, ``name`` (not found), ``refused`` or ``connection``. ``answer`` is the
    beginning of the answer's body as text.
    """

    at_ms: int  # since 1970
    kind: int
    event: str
    events: int
    result: str
    status: int
    took_ms: int
    answer: str


class Tried(msgspec.Struct, frozen=True, array_like=True):
    """How a test callback ended; ``name`` is that of who asked for it, ``result`` ``success`` or as
    in ``PostFailure``, or ``no URL``.
    """

    name: str
    at_ms: int
    result: str
    status: int
    took_ms: int
    answer: str


class Sheet(msgspec.Struct, frozen=True):
    """The webhook's figures that a coreapp writes beside its report; ``failures`` oldest first."""

    failures: list[PostFailure] = []
    tried: Tried | None = None


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """POSTs of an hour. ``took`` counts them by their duration: for each of ``BOUNDS_MS`` those
    within it and beyond the one before, and at last those beyond all.
    """

    taken: int = 0
    failed: int = 0
    took: list[int] = []

    def within_ms(self, share: float) -> int | None:
        """In so many milliseconds this share of the POSTs had ended; None without any."""
        ends = 0
        for bound, count in zip((*BOUNDS_MS, BOUNDS_MS[-1]), self.took, strict=False):
            ends += count
            if ends and ends >= share * sum(self.took):
                return bound
        return None


class Outlook(msgspec.Struct, frozen=True):
    """A coreapp's view of the receiver, for one kind of events: what the report says.

    ``failing``: the last POSTs have all failed, since ``since_ms`` (since 1970). ``open``: only one
    event at a time is tried until one is taken.
    """

    hour: Counted = Counted()
    failing: bool = False
    open: bool = False
    since_ms: int = 0


class PostFailures:
    """The last failures."""

    def __init__(self) -> None:
        self._last: deque[PostFailure] = deque(maxlen=MOST_FAILURES)

    def add(self, failure: PostFailure) -> None:
        self._last.append(bounded(failure))

    def last(self) -> list[PostFailure]:
        """The failures, oldest first."""
        return list(self._last)


class Hour:
    """Counts the POSTs of the last sixty minutes. ``now`` is seconds on one clock."""

    def __init__(self) -> None:
        self._minutes = [_Minute() for _ in range(_MINUTES)]

    def count(self, now: float, took_ms: int, *, taken: bool) -> None:
        number = int(now // 60)
        minute = self._minutes[number % _MINUTES]
        if minute.number != number:
            minute.restart(number)
        minute.took[bisect_left(BOUNDS_MS, took_ms)] += 1
        minute.taken += taken

    def counted(self, now: float) -> Counted:
        oldest = int(now // 60) - _MINUTES
        fresh = [m for m in self._minutes if oldest < m.number <= oldest + _MINUTES]
        took = [sum(counts) for counts in zip(*(m.took for m in fresh), strict=True)]
        taken = sum(m.taken for m in fresh)
        return Counted(taken, sum(took) - taken, took)


class _Minute:
    """The POSTs that ended in one minute."""

    __slots__ = ("number", "taken", "took")

    def __init__(self) -> None:
        self.restart(-1)

    def restart(self, number: int) -> None:
        self.number = number
        self.taken = 0
        self.took = [0] * (len(BOUNDS_MS) + 1)


def together(counted: Iterable[Counted]) -> Counted:
    """The POSTs of several coreapps."""
    taken = failed = 0
    took = [0] * (len(BOUNDS_MS) + 1)
    for one in counted:
        taken, failed = taken + one.taken, failed + one.failed
        for at, count in enumerate(one.took[: len(took)]):
            took[at] += count
    return Counted(taken, failed, took)


def text_of(answer: bytes) -> str:
    """The beginning of a receiver's answer, see ``line_of``."""
    return line_of(answer[:ANSWER_BYTES].decode(errors="replace"))


def line_of(text: str) -> str:
    """Foreign text as one line that can be printed, and stored in a jsonb.

    Control characters and what is no text are question marks, and of what looks like a phone number
    only the ends are left, as in the log.
    """
    return str(shown(printable(text))).strip()


def printable(text: str) -> str:
    """The text in one line, with question marks for what can be neither printed nor stored."""
    return "".join(map(_printable, text))


def bounded(failure: PostFailure) -> PostFailure:
    """The failure in at most ``FAILURE_BYTES`` of JSON: its answer is cut, or its ids."""
    small = msgspec.structs.replace(failure, event=failure.event[:_EVENT_CHARS])
    while (over := len(msgspec.json.encode(small)) - FAILURE_BYTES) > 0:
        # A character takes up to six bytes.
        cut = -(-over // 6)
        if small.answer:
            small = msgspec.structs.replace(small, answer=small.answer[:-cut])
        else:
            small = msgspec.structs.replace(small, event=small.event[:-cut])
    return small


def _printable(char: str) -> str:
    if char.isspace():
        return " "
    return char if char.isprintable() and char != "\N{REPLACEMENT CHARACTER}" else "?"

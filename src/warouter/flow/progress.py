"""The next record of a log, beside its cursor: rows that were parked, ended or given up, and what
became of requests.

Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from warouter.flow.aside import AsideRow


class Park(NamedTuple):
    """A row moves to the parked table, or stays there, and is due in ``delay_ms``; None: once its
    lane is reopened.

    ``ends_ms`` is after how long it is not to be sent any more; None: that is read when it is due.
    """

    seq: int
    attempts: int
    delay_ms: int | None
    reason: str
    ends_ms: int | None = None


class Unpark(NamedTuple):
    """A row of the parked table has reached its end."""

    seq: int


class Dead(NamedTuple):
    """An event moves to the dead letters, wherever it lay."""

    seq: int
    attempts: int
    reason: str


class Took(NamedTuple):
    """The Cloud API took an attempt of the message ``id`` (in hex) and gave it an id of its own."""

    seq: int
    id: str
    attempt: int
    wamid: str
    wa_id: str | None = None
    user_id: str | None = None
    held: bool = False  # Meta holds it back: no status comes for a while
    number: int = 1  # whose message it is


class Reopened(NamedTuple):
    """The first parked row of this recipient of the number is due now."""

    recipient: str
    number: int = 1


class Stated(NamedTuple):
    """The new ``state`` of the issue row of a request, see table ``send_issue``; ``look_ms``: when
    time may change it; None: time does not.
    """

    seq: int
    attempt: int
    state: int
    doubts: int
    cause: str | None = None
    look_ms: int | None = None
    spared: int = 0


class Unissued(NamedTuple):
    """The issue row goes: with an ``attempt`` only if no later one was issued."""

    seq: int
    attempt: int | None = None


class Unaside(NamedTuple):
    """The consumer is aside no more: its row goes."""

    consumer: int


# Not one of each message.
RareChange = Park | Unpark | Reopened | Dead | Stated | Unissued | AsideRow | Unaside
Change = RareChange | Took


class LogProgress(NamedTuple):
    """How far a log is settled, and what changed in its parked table since the last record."""

    mark: int
    ranges: list[int]
    changes: list[Change]

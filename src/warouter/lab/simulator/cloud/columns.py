"""The requests that came to ``…/messages``, as columns of numbers: about 80 bytes each. Pure.

A row is made when a request has come as a whole, and completed when its message is taken and when
its answer has left. Rows are never removed; rows of one message are chained by ``before``.
"""

from __future__ import annotations

from array import array
from enum import IntEnum

NEVER = -1.0
NONE = -1
_ID = 20


class RequestOutcome(IntEnum):
    """The end of a request as the other side saw it."""

    OPEN = 0
    """No answer yet."""
    ANSWERED = 1
    """The whole answer was written; `code` is 0 if it was 200."""
    DROPPED = 2
    """The connection was dropped, or closed after half of the answer, by a switch."""
    FAILED = 3
    """An answer by a switch (fail_before, fail_after) that leaves it open if it was taken."""
    GONE = 4
    """The connection was lost before the answer."""


class Columns:
    """All requests by their row; times are seconds, ``NEVER`` for what did not happen."""

    def __init__(self) -> None:
        self._ids = bytearray()
        self.attempt = array("H")
        self.recipient = array("l")
        self.begun = array("d")
        self.begun_wall = array("d")
        self.accepted = array("d")
        self.answered = array("d")
        self.outcome = array("B")
        self.code = array("l")
        self.number = array("l")  # of the acceptance: its wamid follows from it
        self.told = array(
            "d"
        )  # a status of it was acknowledged by the business, for the first time
        self.before = array("l")  # the row of the message's last request before this one

    def __len__(self) -> int:
        return len(self.attempt)

    def add(self, id: bytes, attempt: int, recipient: int, begun: float, wall: float) -> int:
        """A new row; ``id`` is 20 bytes, or b"" if the reference is none of ours."""
        self._ids += id or bytes(_ID)
        self.attempt.append(attempt)
        self.recipient.append(recipient)
        self.begun.append(begun)
        self.begun_wall.append(wall)
        self.accepted.append(NEVER)
        self.answered.append(NEVER)
        self.outcome.append(RequestOutcome.OPEN)
        self.code.append(0)
        self.number.append(NONE)
        self.told.append(NEVER)
        self.before.append(NONE)
        return len(self.attempt) - 1

    def id(self, row: int) -> bytes:
        """The id of a row's message."""
        return bytes(self._ids[row * _ID : (row + 1) * _ID])

    def chain(self, row: int) -> list[int]:
        """The rows of the message before this one, the last first."""
        found = []
        while (row := self.before[row]) != NONE:
            found.append(row)
        return found

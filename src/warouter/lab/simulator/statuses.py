"""Statuses of messages that were taken: which, when, and their payload in the v1 form. Pure.

The delays are the same for all messages, so three lines in the order of taking are all the timing
there is: no timer per message. A payload is filled into a template of bytes.
"""

from __future__ import annotations

from collections import deque
from random import Random

import msgspec

from warouter.codes import error_object
from warouter.lab.simulator.behaviour import Behaviour

ALL = ("sent", "delivered", "read")
FAILED = ("failed", "", "")

_CONVERSATION_S = 24 * 3600


class TakenMessage(msgspec.Struct, gc=False):
    """A message that was taken, with its status at each of the three delays.

    ``at`` is seconds of the monotonic clock, ``wall`` of the wall clock; "" is no status.
    """

    slot: int
    id: str
    to: str
    at: float
    wall: float
    statuses: tuple[str, str, str]

    def timestamp(self, status: str, delays: tuple[float, float, float]) -> int:
        """The time of the status in unix seconds, whenever it is delivered."""
        return int(self.wall + delays[_PLACES[status]])


class Timetable:
    """Messages that were taken, in three queues of statuses."""

    def __init__(self) -> None:
        self._lines: tuple[deque[TakenMessage], ...] = (deque(), deque(), deque())

    def add(self, taken: TakenMessage) -> None:
        """Add a message; ``at`` must not decrease from one to the next."""
        for line in self._lines:
            line.append(taken)

    def due(self, now: float, delays: tuple[float, float, float]) -> list[tuple[str, TakenMessage]]:
        """Remove and return what is due: all first statuses, then the second, then the third."""
        found = []
        for place, line in enumerate(self._lines):
            until = now - delays[place]
            while line and line[0].at <= until:
                taken = line.popleft()
                if status := taken.statuses[place]:
                    found.append((status, taken))
        return found


def drawn(faults: Behaviour, random: Random) -> tuple[str, str, str]:
    """The statuses of a message at the three delays, drawn by the ratios of the faults."""
    if random.random() < faults.failed:
        return FAILED
    sent, delivered, read = (
        status if random.random() < ratio else ""
        for status, ratio in zip(ALL, (faults.sent, faults.delivered, faults.read), strict=True)
    )
    warning, deleted = faults.replacing
    if warning and random.random() < warning:
        sent = "warning"
    if deleted and random.random() < deleted:
        read = "deleted"
    if random.random() < faults.reorder:
        return random.choice(_disorders(sent, delivered, read))
    return sent, delivered, read


def payload(status: str, id: str, to: str, timestamp: int) -> bytes:
    """The element of ``statuses[]``; ``to`` is digits, ``id`` any text."""
    name = msgspec.json.encode(id)
    number = to.encode()
    head = _HEAD % (name, number, number, status.encode(), timestamp)
    if status == "failed":
        return head + _ERRORS
    if status in _PRICED_ONES:
        return head + _PRICED % (int(to), timestamp + _CONVERSATION_S)
    return head + b"}"


_PLACES = {"sent": 0, "delivered": 1, "read": 2, "failed": 0, "warning": 0, "deleted": 2}
_PRICED_ONES = frozenset(("sent", "delivered"))

_HEAD = (
    b'{"id":%b,"recipient_id":"%b","message":{"recipient_id":"%b"},"type":"message",'
    b'"status":"%b","timestamp":"%d"'
)
_PRICED = (
    b',"conversation":{"id":"%032x","expiration_timestamp":%d,'
    b'"origin":{"type":"business_initiated"}},'
    b'"pricing":{"pricing_model":"CBP","billable":true,"category":"business_initiated"}}'
)
_ERRORS = b',"errors":[%b]}' % msgspec.json.encode(error_object(1026))


def _disorders(sent: str, delivered: str, read: str) -> list[tuple[str, str, str]]:
    return [
        (sent, read, delivered),
        (delivered, sent, read),
        (delivered, read, sent),
        (read, sent, delivered),
        (read, delivered, sent),
    ]

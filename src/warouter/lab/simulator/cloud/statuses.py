"""Statuses of messages that were taken: which, when, and their form in a webhook.
Pure but for drawn times.

What happens to a message is drawn below the doors (``simulator.statuses``); here it becomes Meta's
words. Times differ from message to message (held templates, statuses held back), so what is due
stands in a heap.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from random import Random

import msgspec

from warouter.lab.simulator.cloud.columns import NONE
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph import errors
from warouter.lab.simulator.cloud.people import ShownCustomer

_LAST_WITH_CONVERSATION = 23
_WINDOW_S = 24 * 3600


class AcceptedMessage(msgspec.Struct, gc=False):
    """A message that was taken; ``at`` is monotonic seconds, ``wall`` unix seconds.

    ``category`` is that of a template in small letters, or `service`. ``code`` is that of a
    ``failed`` status. ``number`` is "" for a ``user`` id that no number belongs to.
    """

    wamid: str
    number: str
    user: str
    reference: str
    category: str
    at: float
    wall: float
    code: int = 0
    priced: str = ""
    """The second status that shows the price: the first of delivered and read."""
    row: int = NONE
    """Of its request in the record."""


class Due(msgspec.Struct, gc=False):
    """One status; it happens ``after`` seconds after the message was taken."""

    status: str
    after: float
    taken: AcceptedMessage


class CloudTimetable:
    """Statuses in the order in which they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(
        self, taken: AcceptedMessage, statuses: Sequence[tuple[str, float]], held: float = 0.0
    ) -> None:
        """Add the statuses of a message, each with the delay at which it happens; all are told
        ``held`` s later.
        """
        for status, after in statuses:
            due = taken.at + after + held
            heappush(self._heap, (due, next(self._numbers), Due(status, after, taken)))

    def due(self, now: float) -> list[Due]:
        """Remove and return what is due, in order."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            found.append(heappop(self._heap)[2])
        return found


def planned(names: Sequence[str], faults: CloudFaults, *, voice: bool) -> list[tuple[str, float]]:
    """The statuses that were drawn, with their delays in seconds; a voice note is played, too."""
    found = [(name, at) for name, at in zip(names, faults.delays, strict=True) if name]
    if voice and "read" in names:
        found.append(("played", faults.played_ms / 1000))
    return found


def spread(
    statuses: Sequence[tuple[str, float]], mean: float, random: Random
) -> list[tuple[str, float]]:
    """The statuses with random times (exponentially distributed) between them."""
    found, more = [], 0.0
    for name, after in statuses:
        more += random.expovariate(1.0 / mean)
        found.append((name, after + more))
    return found


def payload(due: Due, shown: ShownCustomer, faults: CloudFaults, identity: str = "") -> bytes:
    """The element of ``statuses[]``, with the hash of an identity if it is asked for."""
    taken, status = due.taken, due.status
    timestamp = int(taken.wall + due.after + faults.clock_s)
    parts = [
        b'{"id":"%b","status":"%b","timestamp":"%d"'
        % (
            taken.wamid.encode(),
            status.encode(),
            timestamp,
        )
    ]
    if shown.wa_id:
        parts.append(b',"recipient_id":"%b"' % shown.wa_id.encode())
    if shown.user_id:
        parts.append(b',"recipient_user_id":"%b"' % shown.user_id.encode())
    if identity:
        parts.append(b',"recipient_identity_key_hash":"%b"' % identity.encode())
    if taken.reference and _echoes(status, faults):
        parts.append(b',"biz_opaque_callback_data":' + msgspec.json.encode(taken.reference))
    if status == "failed":
        parts.append(b',"errors":' + msgspec.json.encode([errors.element(taken.code)]))
    elif status == "sent" or status == taken.priced:
        parts.append(_price(taken, timestamp, faults))
    parts.append(b"}")
    return b"".join(parts)


def _echoes(status: str, faults: CloudFaults) -> bool:
    return faults.opaque == "always" or (faults.opaque == "not_failed" and status != "failed")


def _price(taken: AcceptedMessage, timestamp: int, faults: CloudFaults) -> bytes:
    service = taken.category == "service"
    price = b',"pricing":{"billable":%b,"pricing_model":"PMP","type":"%b","category":"%b"}' % (
        b"false" if service else b"true",
        b"free_customer_service" if service else b"regular",
        taken.category.encode(),
    )
    if faults.webhook_version > _LAST_WITH_CONVERSATION:
        return price
    conversation = (
        b',"conversation":{"id":"%032x","expiration_timestamp":"%d","origin":{"type":"%b"}}'
    )
    return (
        conversation % (int(taken.number or 0), timestamp + _WINDOW_S, taken.category.encode())
        + price
    )

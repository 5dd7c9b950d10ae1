"""What a judge needs to know of what reached the WhatsApp side.

Only the first arrival of an id counts for order. The ids of every message since the last ``forget``
are kept (about 100 bytes each); times in a ring.
"""

from __future__ import annotations

from collections import deque

import msgspec

ARRIVALS = 200_000


class Counters(msgspec.Struct, kw_only=True):
    """Numbers since the last ``forget``; ``received`` = ``unique`` + ``repeats``."""

    received: int = 0
    """Messages that passed the fence and were answered for good, repeats too."""
    unique: int = 0
    """First arrivals of an id."""
    repeats: int = 0
    """Messages whose id was there before: answered again, delivered never."""
    inversions: int = 0
    """First arrivals with a seq below one that had already come for the same recipient."""
    stale: int = 0
    """Sends under an epoch below the newest claim of the slot, or by another incarnation."""
    unclaimed: int = 0
    """Other sends for a slot that the connection did not hold."""
    misrouted: int = 0
    """Messages that were sent for another slot than their recipient's."""
    rejected: int = 0
    """Of ``unique``: refused for good, with whatever code."""
    throttled: int = 0
    """Sends that were asked to come again (429, 131056); not received."""
    read_marks: int = 0
    """Inbound messages that were marked as read, each counted once."""
    checked: int = 0
    """Numbers that a contact check asked about."""
    claims: int = 0
    """Claims that were granted."""
    refused: int = 0
    """Claims that were refused for an epoch below the newest."""
    conflicts: int = 0
    """Claims that were refused for an equal epoch of another incarnation."""
    revoked: int = 0
    """Slots taken from a live connection by a newer claim."""
    statuses: int = 0
    """Statuses issued, copies by the `repeat` fault not counted."""
    inbound: int = 0
    """Inbound messages injected."""
    acked: int = 0
    """Events that were acknowledged."""


class Record:
    """The counters, the order of arrival per recipient, and the ring of arrival times."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._recipients: dict[str, _Recipient] = {}
        self._marks: list[str] = []
        self._arrivals: deque[tuple[float, int, str, int]] = deque(maxlen=ARRIVALS)

    def arrived(self, now: float, slot: int, epoch: int, seq: int, id: str, to: str) -> None:
        """A message came for the first time; ``now`` is seconds of the monotonic clock."""
        counters = self.counters
        counters.received += 1
        counters.unique += 1
        recipient = self._recipients.get(to)
        if recipient is None:
            recipient = self._recipients[to] = _Recipient()
        if seq < recipient.highest:
            counters.inversions += 1
        else:
            recipient.highest = seq
        recipient.ids.append(id)
        self._arrivals.append((now, slot, id, epoch))

    def repeated(self) -> None:
        """A message came again."""
        self.counters.received += 1
        self.counters.repeats += 1

    def marked(self, id: str) -> None:
        """An inbound message was marked as read for the first time."""
        self.counters.read_marks += 1
        self._marks.append(id)

    def ids(self) -> dict[str, list[str]]:
        """The ids per recipient in the order of their first arrival."""
        return {to: recipient.ids for to, recipient in self._recipients.items()}

    def marks(self) -> list[str]:
        """The ids of read marks in the order of their arrival."""
        return self._marks

    def arrivals(self, since: float) -> list[tuple[float, int, str, int]]:
        """(monotonic s, slot, id, epoch) of the last 200,000 first arrivals after ``since``."""
        return [arrival for arrival in self._arrivals if arrival[0] > since]

    def forget(self) -> None:
        """Start anew. Which ids were taken is not forgotten: that is no matter of the record."""
        self.counters = Counters()
        self._recipients.clear()
        self._marks.clear()
        self._arrivals.clear()


class _Recipient:
    __slots__ = ("highest", "ids")

    def __init__(self) -> None:
        self.highest = -1
        self.ids: list[str] = []

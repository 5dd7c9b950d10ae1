"""A record of everything that reached the simulator, for judges.

Only the first arrival of an id counts for order. The ids of every message since the last ``forget``
are kept (about 100 bytes each); times in a ring.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

import msgspec

ARRIVALS = 200_000


class ArrivalCounters(msgspec.Struct, kw_only=True):
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
    media_uploads: int = 0
    """Media that coreapps brought."""
    media_bytes: int = 0
    """Bytes of those."""
    media_unknown: int = 0
    """First arrivals that named media which this process was never given."""


class Upload(msgspec.Struct, frozen=True):
    """Media that a coreapp uploaded; ``sha256`` in hex."""

    mime: str
    bytes: int
    sha256: str


class Record:
    """Counters, the order of arrival per recipient, and a ring of arrival times."""

    def __init__(self) -> None:
        self.counters = ArrivalCounters()
        self._recipients: dict[str, _Recipient] = {}
        self._marks: list[str] = []
        self._uploads: dict[str, Upload] = {}
        self._attached: dict[str, tuple[str, ...]] = {}
        self._arrivals: deque[tuple[float, int, str, int]] = deque(maxlen=ARRIVALS)

    def arrived(self, now: float, slot: int, epoch: int, seq: int, id: str, to: str) -> None:
        """A message arrived for the first time; ``now`` is seconds of the monotonic clock."""
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
        """Count a message that arrived again."""
        self.counters.received += 1
        self.counters.repeats += 1

    def uploaded(self, handle: str, upload: Upload) -> None:
        """A coreapp uploaded media."""
        self.counters.media_uploads += 1
        self.counters.media_bytes += upload.bytes
        self._uploads[handle] = upload

    def attached(self, id: str, handles: tuple[str, ...]) -> None:
        """A message that arrived for the first time has media."""
        self._attached[id] = handles
        self.counters.media_unknown += any(handle not in self._uploads for handle in handles)

    def media(self) -> dict[str, list[Upload | None]]:
        """The media of each message, in order; None for media that were never uploaded."""
        return {
            id: [self._uploads.get(handle) for handle in handles]
            for id, handles in self._attached.items()
        }

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

    def last(self, count: int) -> list[tuple[str, float]]:
        """Id and time (monotonic s) of the last first arrivals, the newest first."""
        return [(id, at) for at, _, id, _ in islice(reversed(self._arrivals), count)]

    def forget(self) -> None:
        """Start a new record. Known ids and media are kept, because
        they decide what is a repeat.
        """
        self.counters = ArrivalCounters()
        self._recipients.clear()
        self._marks.clear()
        self._attached.clear()
        self._arrivals.clear()


class _Recipient:
    __slots__ = ("highest", "ids")

    def __init__(self) -> None:
        self.highest = -1
        self.ids: list[str] = []

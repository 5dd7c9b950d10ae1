"""One event of a slot, from the upstream's frame through the journal to the POST. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from warouter.flow.lane_key import recipient_of


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in a journal; ``kind`` is one of ``kinds.EVENT_KINDS``.

    ``lane`` is the key of the lane of its ``number`` and recipient, see ``flow.lane_key``.
    ``payload`` is the JSON of its element in the v1 webhook body, ``contact`` the ``contacts[]``
    element of an inbound message. An inbound one without a ``recipient`` is an out-of-band error,
    an element of ``errors[]``.

    The rest is the delivery's. ``attempts`` counts the POSTs in which it failed alone. ``first_at``
    is when it was first tried; it is None for what comes from the journal and set for what was
    parked, which is let into its blocked lane by that. ``parked``: its row is in the parked table.
    ``aside``: it is appended with the flag, see ``flow.aside``.
    """

    slot: int
    seq: int
    kind: int
    key: str
    lane: str
    payload: bytes
    contact: bytes | None = None
    attempts: int = 0
    first_at: float | None = None
    parked: bool = False
    number: int = 1
    aside: bool = False

    @property
    def recipient(self) -> str:
        return recipient_of(self.number, self.lane)

    @property
    def size(self) -> int:
        """Size of the JSON in bytes."""
        return len(self.payload) + len(self.contact or b"")


def size_of_all(rows: Sequence[EventRow]) -> int:
    """The sum of their sizes."""
    return sum([len(row.payload) + len(row.contact or b"") for row in rows])

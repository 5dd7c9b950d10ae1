"""An event to deliver, and the JSON of a POST with several. Pure."""

from __future__ import annotations

from typing import NamedTuple

from warouter.kinds import STATUS


class Item(NamedTuple):
    """One event to deliver. ``payload`` is the JSON of its element in the v1 webhook body.

    ``contact`` is the ``contacts[]`` element of an inbound message. An inbound one without a
    ``recipient`` is an out-of-band error, an element of ``errors[]``. ``attempts`` counts the POSTs
    in which it failed alone. ``first_at`` is when it was first tried; it is None for what comes
    from the journal and set for what was parked, which is let into its blocked lane by that.
    ``parked``: its row lies in the parked table.
    """

    slot: int
    seq: int
    kind: int  # of kinds.EVENT_KINDS
    recipient: str
    payload: bytes
    contact: bytes | None = None
    attempts: int = 0
    first_at: float | None = None
    parked: bool = False

    @property
    def size(self) -> int:
        """Size of the JSON in bytes."""
        return len(self.payload) + len(self.contact or b"")


def body(items: list[Item]) -> bytes:
    """The v1 webhook body for events of one kind; their JSON is inserted unchanged."""
    if items[0].kind == STATUS:
        return b'{"statuses":[' + b",".join([item.payload for item in items]) + b"]}"
    arrays = {
        b"contacts": dict.fromkeys(item.contact for item in items if item.contact),
        b"messages": [item.payload for item in items if item.recipient],
        b"errors": [item.payload for item in items if not item.recipient],
    }
    fields = (b'"%b":[%b]' % (name, b",".join(of)) for name, of in arrays.items() if of)
    return b"{" + b",".join(fields) + b"}"

"""The JSON of a POST with several events. Pure."""

from __future__ import annotations

from warouter.flow.event import EventRow
from warouter.kinds import STATUS


def body(items: list[EventRow]) -> bytes:
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

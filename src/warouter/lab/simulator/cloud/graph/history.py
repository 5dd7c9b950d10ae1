"""The edge ``message_history`` of the number, and ``events`` of an entry of it.

As Meta's OpenAPI (v23.0) has them: the newest first, without reference and recipient; an entry has
an id of its own. Nobody outside has seen how far Meta's list goes or how late it is: switches say.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.lab.simulator.cloud.graph.number_node import Given

MOST = 10_000  # entries; the oldest is forgotten first
_PAGE, _LARGEST_PAGE = 25, 100
_FIRST_ID = 700_000_000_000_000
_EVENTS = {
    "accepted": "ACCEPTED",
    "sent": "SENT",
    "delivered": "DELIVERED",
    "read": "READ",
    "failed": "ERROR",
}


class _Entry(msgspec.Struct):
    id: str
    wamid: str
    at: float  # monotonic seconds
    events: list[tuple[str, int]]  # with unix seconds


class History:
    """Messages that were taken, and what became of them; ``clock`` is monotonic seconds."""

    def __init__(
        self, switches: Callable[[], CloudFaults], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._switches = switches
        self._clock = clock
        self._by_wamid: OrderedDict[str, _Entry] = OrderedDict()
        self._count = 0

    def told(self, wamid: str, event: str, wall: int) -> None:
        """Record an event of a message, at this unix time."""
        if event == "accepted":
            self._add(wamid)
        entry = self._by_wamid.get(wamid)
        if entry is not None and event in _EVENTS:
            entry.events.append((_EVENTS[event], wall))

    def _add(self, wamid: str) -> None:
        self._count += 1
        self._by_wamid[wamid] = _Entry(str(_FIRST_ID + self._count), wamid, self._clock(), [])
        if len(self._by_wamid) > MOST:
            self._by_wamid.popitem(last=False)

    def listed(self, given: Given) -> Given:
        """GET of ``message_history``."""
        how = self._switches().history
        wamid = str(given.get("message_id", ""))
        if how == "none" or (how == "filtered" and not wamid):
            raise GraphError(PARAMETER, "Unsupported get request.")
        before = self._clock() - self._switches().history_ms / 1000
        known = [entry for entry in reversed(self._by_wamid.values()) if entry.at <= before]
        found = [entry for entry in known if wamid in ("", entry.wamid)]
        with_events = "events" in str(given.get("fields", ""))
        return _page(given, [_shown(entry, with_events=with_events) for entry in found])

    def events(self, id: str, given: Given) -> Given | None:
        """GET of ``events`` of an entry; None if there is no such entry."""
        entry = next((one for one in self._by_wamid.values() if one.id == id), None)
        if entry is None:
            return None
        wanted = str(given.get("status_filter", ""))
        shown = [
            {"cursor": str(number), "node": _node(f"{id}{number}", name, at)}
            for number, (name, at) in enumerate(entry.events)
            if wanted in ("", name)
        ]
        return _page(given, shown)


def _shown(entry: _Entry, *, with_events: bool) -> Given:
    shown: Given = {"id": entry.id, "message_id": entry.wamid}
    if with_events:
        events = [
            {
                "id": f"{entry.id}{number}",
                "delivery_status": name,
                "timestamp": at,
                "webhook_update_state": "DELIVERED",
            }
            for number, (name, at) in enumerate(entry.events)
        ]
        shown["events"] = {"data": events}
    return shown


def _node(id: str, name: str, at: int) -> Given:
    return {"id": id, "delivery_status": name, "occurrence_timestamp": at}


def _page(given: Given, rows: Sequence[Any]) -> Given:
    try:
        first, limit = int(given.get("after") or 0), int(given.get("limit") or _PAGE)
    except ValueError:
        raise GraphError(PARAMETER, "Param after or limit is not valid") from None
    if not 1 <= limit <= _LARGEST_PAGE:
        raise GraphError(PARAMETER, f"Param limit must be 1 to {_LARGEST_PAGE}")
    page = rows[first : first + limit]
    return {
        "data": page,
        "paging": {"cursors": {"before": str(first), "after": str(first + len(page))}},
    }

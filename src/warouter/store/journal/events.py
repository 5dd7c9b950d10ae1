"""Statuses and inbound messages into their journals, and back from them in seq order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from warouter.flow.event import EventRow
from warouter.flow.lane_key import lane_of
from warouter.store.journal.outcome import Exceptions, RowOutcome, in_halves
from warouter.store.journal.rows import Stretch
from warouter.store.journal.sessions import (
    JournalSessions,
    columns_of,
    numbered,
    unless_empty,
    unless_ones,
)

_APPEND_EVENTS = f"select * from append_events({numbered(12)})"
_EVENT_PAGES = """
select e.slot, e.seq, e.kind, e.key, e.recipient, e.payload, e.contact, e.number
  from unnest($2::smallint[], $3::bigint[], $4::bigint[]) w(slot, after, upto),
       lateral (select *, sum(octet_length(payload)) over (order by seq) - octet_length(payload)
                            as before
                  from event
                 where slot = w.slot and kind = $1 and seq > w.after and seq <= w.upto
                 order by seq limit $5) as e
 where before < $6 order by e.slot, e.seq"""


class Events(JournalSessions):
    """The journals of events, one a kind."""

    async def append_events(self, owned: Mapping[int, int], rows: Sequence[EventRow]) -> Exceptions:
        """Append events as ``append`` does messages; KNOWN are repeats by key."""
        return await in_halves(self._append_events_once, owned, rows)

    async def event_pages(
        self, kind: int, stretches: Sequence[Stretch], limit: int, most_bytes: int
    ) -> dict[int, list[EventRow]]:
        """Read events of one kind, as ``pages`` does messages."""
        given = columns_of(stretches, len(Stretch._fields))
        pages: dict[int, list[EventRow]] = {stretch.slot: [] for stretch in stretches}
        for row in await self._read(_EVENT_PAGES, kind, *given, limit, most_bytes):
            pages[row["slot"]].append(_event(*row))
        return pages

    async def _append_events_once(
        self, owned: Mapping[int, int], rows: Sequence[EventRow]
    ) -> Exceptions:
        answer = await self._fenced(self._records, _APPEND_EVENTS, owned, *event_columns(rows))
        return {row["ordinal"]: RowOutcome(row["outcome"]) for row in answer}


def event_columns(rows: Sequence[EventRow]) -> tuple[Any, ...]:
    """The events as columns, in the order of the arguments of `append_events`."""
    return (
        [row.slot for row in rows],
        [row.seq for row in rows],
        unless_empty([row.kind for row in rows]),
        [row.key for row in rows],
        [row.recipient for row in rows],
        [row.payload for row in rows],
        unless_empty([row.contact for row in rows]),
        unless_ones([row.number for row in rows]),
        unless_empty([row.aside for row in rows]),
    )


def _event(
    slot: int,
    seq: int,
    kind: int,
    key: str,
    recipient: str,
    payload: bytes,
    contact: bytes | None,
    number: int,
) -> EventRow:
    lane = lane_of(number, recipient)
    return EventRow(slot, seq, kind, key, lane, payload, contact, number=number)

"""Inbound messages, by their numbers in the journals of events.

Their times only ever rise with the numbers, as long as the database's clock does: a time is found
by halving.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from warouter.kinds import INBOUND as INBOUND_KIND
from warouter.store.database import Taken
from warouter.store.views.messages.found import RECEIVED, FoundMessage, Piece, Search, iso
from warouter.store.views.messages.newest import INBOUND, MOST_MS, RowPlace, SearchLane, before_ms
from warouter.store.views.messages.short import short_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 253_402_300_800_000 - 1  # of the year 9999, in milliseconds: no datetime is later
# For each slot and time of $1 and $2 the first number from which all rows are of that time or
# later, and the number after the last. Between lo and hi it is not known yet.
SEEK = f"""
with recursive seek (slot, before, lo, hi, top) as (
    select l.slot, l.before, coalesce(f.seq, 1) - 1, coalesce(t.seq, 0), coalesce(t.seq, 0)
      from unnest($1::smallint[], $2::timestamptz[]) l(slot, before)
      left join lateral (select e.seq from event e where e.slot = l.slot and e.kind = {INBOUND_KIND}
                          order by e.slot, e.kind, e.seq limit 1) f on true
      left join lateral (select e.seq from event e where e.slot = l.slot and e.kind = {INBOUND_KIND}
                          order by e.slot desc, e.kind desc, e.seq desc limit 1) t on true
    union all
    select s.slot, s.before,
           case when p.recorded_at >= s.before then s.lo else s.mid end,
           case when p.recorded_at >= s.before then p.seq - 1 else s.hi end, s.top
      from (select k.*, k.lo + (k.hi - k.lo + 1) / 2 as mid from seek k where k.lo < k.hi) s
      left join lateral (
        select e.seq, e.recorded_at from event e
         where e.slot = s.slot and e.kind = {INBOUND_KIND} and e.seq > s.lo and e.seq <= s.mid
         order by e.slot desc, e.kind desc, e.seq desc limit 1) p on true
)
select slot, lo + 1 as first, top + 1 as after from seek where lo >= hi"""
_MS = "floor(extract(epoch from c.recorded_at) * 1000)::bigint"
_PIECES = f"""
select x.* from (
    select l.slot as lane, c.seq, c.key, c.recipient, {_MS} as ms, row_number() over w as nth,
           lead(c.seq) over w is null as last,
           ($4::text is null or c.recipient = $4) and {_MS} >= $5 as found
      from unnest($1::smallint[], $2::bigint[]) l(slot, below)
     cross join lateral (
        select e.seq, e.key, e.recipient, e.recorded_at from event e
         where e.slot = l.slot and e.kind = {INBOUND_KIND} and e.seq < l.below
         order by e.slot desc, e.kind desc, e.seq desc limit $3) c
    window w as (partition by l.slot order by c.seq desc)) x
 where x.last or x.found
 order by x.lane, x.nth"""


class InboundSearch:
    """The lanes of inbound messages of one search."""

    def __init__(self, connection: Taken, search: Search, below: RowPlace, shards: int) -> None:
        self._connection = connection
        self._search = search
        self._start = below
        self._shards = shards
        self._below: dict[int, int] = {}

    async def lanes(self, slots: Sequence[int]) -> list[SearchLane]:
        """The lanes that may have rows."""
        lanes = [SearchLane(INBOUND, slot) for slot in slots]
        times = [time_of(before_ms(lane, self._start)) for lane in lanes]
        rows = await self._connection.fetch(SEEK, list(slots), times)
        self._below = {row["slot"]: row["first"] for row in rows}
        if self._start.lane in lanes and isinstance(self._start.rest, int):
            self._below[self._start.slot] = self._start.rest
        return lanes

    async def read(
        self, asked: Sequence[tuple[SearchLane, RowPlace | None]], most: int
    ) -> list[Piece]:
        """The next ``most`` rows of each lane, below the place down to which it was read."""
        search = self._search
        rows = await self._connection.fetch(
            _PIECES,
            [lane.slot for lane, _ in asked],
            [self._from(lane, down_to) for lane, down_to in asked],
            most,
            search.number or None,
            search.since or 0,
        )
        by_slot: dict[int, list[Any]] = defaultdict(list)
        for row in rows:
            by_slot[row["lane"]].append(row)
        return [self._piece(lane, by_slot[lane.slot], most) for lane, _ in asked]

    def _from(self, lane: SearchLane, down_to: RowPlace | None) -> int:
        if down_to is None:
            return self._below[lane.slot]
        assert isinstance(down_to.rest, int)
        return down_to.rest

    def _piece(self, lane: SearchLane, rows: list[Any], most: int) -> Piece:
        found = [(_place(lane, row), self._message(lane, row)) for row in rows if row["found"]]
        if not rows:
            return Piece(lane, [], 0, None)
        last = rows[-1]
        ended = last["nth"] < most or last["ms"] < (self._search.since or 0)
        return Piece(lane, list(found), last["nth"], None if ended else _place(lane, last))

    def _message(self, lane: SearchLane, row: Any) -> FoundMessage:
        return FoundMessage(
            id=short_id(row["key"], lane.slot, row["seq"]),
            direction="incoming",
            kind="message",
            state=RECEIVED,
            recipient=row["recipient"],
            slot=lane.slot,
            shard=lane.slot % self._shards,
            at=iso(row["ms"]),
        )


def time_of(ms: int) -> datetime:
    """A time as the driver takes it."""
    return _EPOCH + timedelta(milliseconds=min(ms, _LAST, MOST_MS))


def _place(lane: SearchLane, row: Any) -> RowPlace:
    return RowPlace(row["ms"], INBOUND, lane.slot, row["seq"])

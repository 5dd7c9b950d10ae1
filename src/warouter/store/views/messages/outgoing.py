"""Outgoing messages, by the index of their ids: an id begins with its slot and its time.

So no index is needed that the owners would have to keep. Rare states are read from the tables that
have only those: parked messages, and requests that are out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from warouter.kinds import STATUS, base_of
from warouter.message_id import slot_of_id, text_of
from warouter.store.database import Taken
from warouter.store.journal.issues import IN_DOUBT, KEPT
from warouter.store.views.messages.found import KINDS, RECEIVED, FoundMessage, Piece, Search, iso
from warouter.store.views.messages.newest import (
    OUTGOING,
    RowPlace,
    SearchLane,
    id_below,
    least_id,
    place_of_id,
)
from warouter.store.views.trace import errors_of, reason_of

# The state of a row x, in the words and by the rules of store.views.trace, with the key of the
# status that says why it failed. Its parts are looked up one by one: no plan may join whole tables.
_STATE = f"""
select case when f.rank is null and f.issue in {IN_DOUBT} then 'in_doubt'
            when f.rank is null and f.issue = {KEPT} then 'held'
            when f.parked then 'parked' when not f.settled then 'waiting'
            else coalesce((array['sent', 'delivered', 'read', 'failed'])[f.rank], 'taken')
       end as state, f.failed
  from (select translate(encode(x.id, 'base64'), '+/=', '-_') as text offset 0) t
 cross join lateral (
    select max(array_position(array['sent', 'delivered', 'read', 'failed'],
                              split_part(e.key, ':', 2))) as rank,
           min(e.key) filter (where split_part(e.key, ':', 2) = 'failed') as failed,
           (select i.state from send_issue i where i.slot = x.slot and i.seq = x.seq) as issue,
           exists (select from parked_message p where p.slot = x.slot and p.seq = x.seq) as parked,
           (select (x.seq <= c.mark or exists (
                select from generate_series(1, cardinality(c.ranges), 2) r
                 where x.seq between c.ranges[r] and c.ranges[r + 1]))
                and not is_aside(x.slot, 0::smallint, x.seq)
              from send_cursor c where c.slot = x.slot) as settled
      from event e
     where e.key >= t.text || ':' and e.key < t.text || ':xx'
       and starts_with(e.key, t.text || ':') and e.kind = {STATUS} offset 0) f"""
# $1, $2, $3: slots, and the ids of each from and below which; $4 rows of each. The last row of each
# comes in any case.
_PIECES = f"""
select x.lane, x.id, x.nth, x.last, f.found, case when f.found and $8 then status_said(s.failed)
                                             end as said
  from (select l.slot as lane, c.*, row_number() over w as nth, lead(c.id) over w is null as last,
               ($5::text is null or c.recipient = $5)
               and ($6::smallint[] is null or c.kind & 7 = any ($6)) as fits
          from unnest($1::smallint[], $2::bytea[], $3::bytea[]) l(slot, above, below)
         cross join lateral (
            select m.slot, m.seq, m.id, m.recipient, {{kind}} as kind from {{table}} m
             where m.id >= l.above and m.id < l.below order by m.id desc limit $4) c
        window w as (partition by l.slot order by c.id desc) offset 0) x
  left join lateral (select y.* from ({_STATE}) y where x.fits and $7::text[] is not null) s on true
 cross join lateral (select x.fits and ($7::text[] is null or s.state = any ($7)) as found
                     offset 0) f
 where x.last or f.found
 order by x.lane, x.nth"""
_WHOLE = _PIECES.format(table="message", kind="m.kind")
_KIND_OF_MESSAGE = "(select o.kind from message o where o.slot = m.slot and o.seq = m.seq)"
_PARKED = _PIECES.format(table="parked_message", kind=_KIND_OF_MESSAGE)
_ISSUED = _PIECES.format(table="send_issue", kind=_KIND_OF_MESSAGE)
_SHOWN = f"""
select x.*, s.state, status_said(s.failed) as said
  from (select m.slot, m.seq, m.id, m.recipient, m.kind,
               (select p.reason from parked_message p
                 where p.slot = m.slot and p.seq = m.seq) as reason
          from unnest($1::bytea[]) w(id)
         cross join lateral (select o.slot, o.seq, o.id, o.recipient, o.kind from message o
                              where o.id = w.id offset 0) m
        offset 0) x
 cross join lateral ({_STATE}) s"""
# Nothing that is still open was made before this, but for what a webapp kept back for a while.
_FIRST_OPEN = """
select c.slot, o.id
  from unnest($1::smallint[]) l(slot) join send_cursor c on c.slot = l.slot
 cross join lateral (select m.id from message m
                      where m.slot = c.slot
                        and m.seq > least(c.mark, (select min(a.mark) from aside a
                                                    where a.slot = c.slot and a.log = 0))
                      order by m.slot, m.seq limit 1) o"""
LATE_MS = 60_000


class OutgoingSearch:
    """The lanes of outgoing messages of one search."""

    def __init__(self, connection: Taken, search: Search, below: RowPlace) -> None:
        self._connection = connection
        self._search = search
        self._states = _states_of(search)
        self._sql = _sql_for(self._states)
        self._above: dict[int, bytes] = {}
        self._start = below

    async def lanes(self, slots: Sequence[int]) -> list[SearchLane]:
        """The lanes that may have rows."""
        search = self._search
        if self._states == []:
            return []
        self._above = {slot: least_id(slot, search.since or 0) for slot in slots}
        if self._states == ["waiting"]:
            rows = await self._connection.fetch(_FIRST_OPEN, list(slots))
            self._above = {
                row["slot"]: max(self._above[row["slot"]], _earlier(row["id"])) for row in rows
            }
        return [SearchLane(OUTGOING, slot) for slot in self._above]

    async def read(
        self, asked: Sequence[tuple[SearchLane, RowPlace | None]], most: int
    ) -> list[Piece]:
        """The next ``most`` rows of each lane, below the place down to which it was read."""
        search = self._search
        rows = await self._connection.fetch(
            self._sql,
            [lane.slot for lane, _ in asked],
            [self._above[lane.slot] for lane, _ in asked],
            [id_below(lane, down_to or self._start) for lane, down_to in asked],
            most,
            search.number or None,
            [number for name in search.kinds for number in KINDS[name]] or None,
            self._states,
            search.code is not None,
        )
        by_slot: dict[int, list[Any]] = defaultdict(list)
        for row in rows:
            by_slot[row["lane"]].append(row)
        return [self._piece(lane, by_slot[lane.slot], most) for lane, _ in asked]

    def _piece(self, lane: SearchLane, rows: list[Any], most: int) -> Piece:
        found = [(place_of_id(row["id"]), None) for row in rows if self._fits(row)]
        if not rows:
            return Piece(lane, [], 0, None)
        last = rows[-1]
        down_to = place_of_id(last["id"]) if last["nth"] == most else None
        return Piece(lane, list(found), last["nth"], down_to)

    def _fits(self, row: Any) -> bool:
        code = self._search.code
        if not row["found"] or code is None:
            return bool(row["found"])
        return any(error.code == code for error in errors_of(row["said"]))

    async def shown(self, ids: Sequence[bytes], shards: int) -> dict[bytes, FoundMessage]:
        """Read messages by their ids."""
        rows = await self._connection.fetch(_SHOWN, list(ids))
        return {row["id"]: _message(row, shards) for row in rows}


def _states_of(search: Search) -> list[str] | None:
    """The states that a row may have; None: any."""
    states = [state for state in search.states if state != RECEIVED]
    if search.code is not None:
        return ["failed"] if not search.states or "failed" in states else []
    return states if search.states else None


def _sql_for(states: list[str] | None) -> str:
    if states == ["parked"]:
        return _PARKED
    if states and set(states) <= {"in_doubt", "held"}:
        return _ISSUED
    return _WHOLE


def _earlier(message_id: bytes) -> bytes:
    return least_id(slot_of_id(message_id), place_of_id(message_id).ms - LATE_MS)


def _message(row: Any, shards: int) -> FoundMessage:
    reason = row["reason"] if row["state"] == "parked" else reason_of(errors_of(row["said"]))
    return FoundMessage(
        id=text_of(row["id"]),
        direction="outgoing",
        kind=kind_name(row["kind"]),
        state=row["state"],
        recipient=row["recipient"],
        slot=row["slot"],
        shard=row["slot"] % shards,
        at=iso(place_of_id(row["id"]).ms),
        error=reason,
    )


def kind_name(kind: int) -> str:
    """The name of a message's kind in the list."""
    base = base_of(kind)
    return next(name for name, numbers in KINDS.items() if base in numbers)

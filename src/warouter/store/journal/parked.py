"""The tables of what is parked, and the dead letters that are to be delivered again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from warouter.flow.lane_key import lane_of, parts_of
from warouter.store.journal.issues import COLUMNS, OF_MESSAGE
from warouter.store.journal.sessions import JournalSessions, columns_of

# In how many seconds what is parked is due: no later than after the whole of its wait, wherever the
# database's clock has gone since.
# For ever, where a recipient is shut. (A difference of times would be an error then.)
_DUE_IN = """(extract(epoch from due_at)
                 - extract(epoch from greatest(clock_timestamp(), parked_at)))::float8"""
_AGE = "greatest(extract(epoch from clock_timestamp() - {0}), 0)::float8"
_PARKED_FOR = _AGE.format("parked_at")
# Rows of one lane as a range in the order of their index, which no other index has: by number and
# recipient alone a plan that was made when the table was small walks through all of a slot.
_OF_LANE = """(number, recipient, seq) >= ({0}.number, {0}.recipient, 0)
                           and (number, recipient, seq) <=
                               ({0}.number, {0}.recipient, 1::bigint << 62)"""
# The key of a lane, as ``flow.lane_key`` makes it: of a row with a number and a recipient.
LANE = "case {0}.number when 1 then {0}.recipient else {0}.number || '|' || {0}.recipient end"
# The journal's row of a parked one, p, asked for in such a way that it is looked up in any plan.
_MESSAGE = """lateral (
           select * from message m where m.slot = p.slot and m.seq between p.seq and p.seq
            order by m.slot, m.seq limit 1) m"""
_EVENT = """lateral (
           select * from event e
            where e.slot = p.slot and e.kind = p.kind and e.seq between p.seq and p.seq
            order by e.slot, e.kind, e.seq limit 1) e"""
# The first row of a lane, and which of its messages with a ttl ends first: of the next few. (The
# low three bits of a kind are what ``kinds.base_of`` gives: 1 is a read mark.)
_LANE = f"""
       lateral (select {_DUE_IN} as due_in, {_PARKED_FOR} as parked_for,
                       case when m.kind & 7 <> 1
                            then $2 - {_AGE.format("m.accepted_at")} end as ends_in
                  from (select * from parked_message h
                         where h.slot = s.slot and {_OF_LANE.format("l")}
                         order by number, recipient, seq limit 1) p
                  left join {_MESSAGE} on true) f,
       lateral (select min(m.ttl - {_AGE.format("m.accepted_at")}) as ends_in
                  from (select * from parked_message h
                         where h.slot = s.slot and {_OF_LANE.format("l")} and has_ttl
                         order by number, recipient, seq limit 64) p, {_MESSAGE}) t"""
_PARKED = f"""
select s.slot, {LANE.format("l")} as lane, l.full, f.due_in, f.parked_for,
       least(f.ends_in, t.ends_in) as ends_in
  from unnest($1::smallint[]) s(slot),
       lateral (select number, recipient, sum(count(*)) over () >= $3 as full
                  from (select number, recipient from parked_message p
                         where p.slot = s.slot and look_at is not null
                         order by look_at limit $3) h
                 group by number, recipient) l,{_LANE}"""
_PARKED_AMONG = f"""
select {LANE.format("l")} as lane, f.due_in, f.parked_for, least(f.ends_in, t.ends_in) as ends_in
  from (select $1::smallint as slot) s,
       unnest($3::integer[], $4::text[]) l(number, recipient),{_LANE}"""
_PARKED_OF = f"""
select {LANE.format("m")} as lane, m.number, m.recipient, m.seq, m.id, m.kind, m.body,
       p.attempts, p.reason, m.ttl, {_AGE.format("m.accepted_at")} as age, {COLUMNS}
  from unnest($2::integer[], $3::text[]) r(number, recipient),
       lateral (select * from parked_message h
                 where h.slot = $1 and {_OF_LANE.format("r")}
                 order by number, recipient, seq limit $4) p, {_MESSAGE}
  {OF_MESSAGE}"""
_EVENT_LANE = f"""
       lateral (select {_DUE_IN} as due_in, {_PARKED_FOR} as parked_for
                  from parked_event p
                 where p.slot = s.slot and p.kind = s.kind and {_OF_LANE.format("l")}
                 order by number, recipient, seq limit 1) f"""
_PARKED_EVENTS = f"""
select s.slot, s.kind, {LANE.format("l")} as lane, l.full, f.due_in, f.parked_for,
       null::float8 as ends_in
  from unnest($1::smallint[], $2::smallint[]) s(slot, kind),
       lateral (select number, recipient, sum(count(*)) over () >= $3 as full
                  from (select number, recipient from parked_event p
                         where p.slot = s.slot and p.kind = s.kind and look_at is not null
                         order by look_at limit $3) h
                 group by number, recipient) l,{_EVENT_LANE}"""
_PARKED_EVENTS_AMONG = f"""
select {LANE.format("l")} as lane, f.due_in, f.parked_for, null::float8 as ends_in
  from (select $1::smallint as slot, $2::smallint as kind) s,
       unnest($3::integer[], $4::text[]) l(number, recipient),{_EVENT_LANE}"""
_PARKED_EVENTS_OF = f"""
select e.seq, e.kind, e.key, {LANE.format("e")} as lane, e.payload, e.contact, p.attempts,
       {_AGE.format("p.first_at")} as age, e.number
  from (select $2::smallint as kind, $3::integer as number, $4::text as recipient) l,
       lateral (select * from parked_event h
                 where h.slot = $1 and h.kind = l.kind and {_OF_LANE.format("l")}
                 order by number, recipient, seq limit $5) p, {_EVENT}
 order by p.number, p.recipient, p.seq"""

_ASKED_LETTERS = """
select s.slot from unnest($1::smallint[]) s(slot)
 where exists (select from dead_letter d where d.slot = s.slot and d.asked_at is not null)"""
_TAKE_UP_LETTERS = "select * from take_up_letters($1,$2,$3, $4 * interval '1 second', $5)"


class ParkedRows(JournalSessions):
    """Parked messages and events."""

    async def parked(self, slots: Sequence[int], pending: float, rows: int) -> list[Any]:
        """Parked lanes of each slot, from ``rows`` rows, those due first.

        lane, due_in (seconds, may be below 0), parked_for (seconds since the first of its rows
        was parked), ends_in: when the first of theirs ends
        by its ttl or after ``pending`` seconds, or None; full: there may be more of them.
        """
        return await self._read(_PARKED, list(slots), pending, rows)

    async def parked_among(self, slot: int, keys: Collection[str], pending: float) -> list[Any]:
        """Return those of the lanes that are parked, in the form of ``parked``."""
        return await self._read(_PARKED_AMONG, slot, pending, *_parts(keys))

    async def parked_of(self, slot: int, keys: Collection[str], limit: int) -> list[Any]:
        """The first messages of each lane, at most ``limit``, in seq order."""
        return await self._read(_PARKED_OF, slot, *_parts(keys), limit)

    async def parked_events(self, lanes: Sequence[tuple[int, int]], rows: int) -> list[Any]:
        """Read parked events as ``parked`` does messages, by slot and kind; ends_in is None."""
        slots, kinds = zip(*lanes, strict=True) if lanes else ((), ())
        return await self._read(_PARKED_EVENTS, slots, kinds, rows)

    async def parked_events_among(self, slot: int, kind: int, keys: Collection[str]) -> list[Any]:
        """Return those of the lanes in which events of the kind are parked."""
        return await self._read(_PARKED_EVENTS_AMONG, slot, kind, *_parts(keys))

    async def parked_events_of(self, slot: int, key: str, kind: int, limit: int) -> list[Any]:
        """The first parked events of a lane, at most ``limit``, in seq order."""
        return await self._read(_PARKED_EVENTS_OF, slot, kind, *parts_of(key), limit)

    async def mend_parked(self, owned: Mapping[int, int], limit: int) -> int:
        """After the database's clock went back: let rows that were
        parked in the future wait from now on.

        At most ``limit`` lanes a table; how many.
        """
        rows = await self._fenced(
            self._records, "select mend_parked($1,$2,$3,$4) as mended", owned, limit
        )
        return int(rows[0]["mended"])

    async def asked_letters(self, slots: Sequence[int]) -> list[int]:
        """Return those of the slots that have dead letters to replay."""
        rows = await self._read(_ASKED_LETTERS, list(slots))
        return [row["slot"] for row in rows]

    async def take_up_letters(
        self, owned: Mapping[int, int], tried: float, limit: int
    ) -> list[tuple[int, int, str, int]]:
        """Move dead letters to the parked events, as if first tried this many seconds ago.

        How many came to which lane: (slot, kind, lane, letters).
        """
        rows = await self._fenced(self._records, _TAKE_UP_LETTERS, owned, tried, limit)
        return [(slot, kind, lane_of(*lane), letters) for slot, kind, *lane, letters in rows]


def _parts(keys: Collection[str]) -> Sequence[Any]:
    """Numbers and recipients of lanes by their keys, as columns."""
    return columns_of([parts_of(key) for key in keys], 2)

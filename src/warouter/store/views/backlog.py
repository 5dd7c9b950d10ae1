"""How much waits in each slot: messages, callbacks, parked ones, dead letters.

Nothing here reads a journal from end to end: a backlog is what lies in the open intervals of a
cursor, found by index.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from warouter._hash import SLOTS
from warouter.store.database import Taken

# An interval of at most 2,000 places is counted, a wider one is taken as full. Both are the same
# but for places that were given out and never written; counting a million rows each second would
# cost about what sending them does.
_COUNTED_PLACES = 2_000
# What is aside, is parked or died is counted up to a limit: more than that is much, whatever the
# number.
MOST_COUNTED = 100_000

# The messages that a number that is aside has beyond its mark, in two parts: up to ``since``, and
# later ones with the flag. It is settled of few of them.
_ASIDE = """(select 1 from message m
        where m.slot = a.slot and m.number = a.number and m.seq > {0} and m.seq <= {1}{2}
        order by m.seq limit {3})"""
_UP_TO_SINCE = _ASIDE.format("a.mark", "least(a.since, coalesce(a.upto, a.since))", "", "{0}")
_LATER = _ASIDE.format(
    "greatest(a.mark, a.since)", "coalesce(a.upto, 9223372036854775807)", " and m.aside", "{0}"
)
# Open intervals of each cursor: before, between and after its ranges; then what lies in them.
BACKLOG_SQL = f"""
with cursor as (
    select c.slot, c.mark, c.ranges,
           coalesce((select m.seq from message m where m.slot = c.slot
                      order by m.seq desc limit 1), 0) as last
      from send_cursor c),
     interval as (
    select c.slot, (array[c.mark] || c.ranges)[2 * i + 1] as low,
           least(coalesce(c.ranges[2 * i + 1], c.last + 1), c.last + 1) as high
      from cursor c, generate_series(0, cardinality(c.ranges) / 2) as i)
select w.slot, sum(w.waiting)::bigint as waiting from (
    select v.slot, case when v.high - v.low - 1 > {_COUNTED_PLACES} then v.high - v.low - 1
                   else (select count(*) from message m
                          where m.slot = v.slot and m.seq > v.low and m.seq < v.high)
                   end as waiting
      from interval v where v.high - v.low > 1
    union all
    select a.slot, (select count(*) from {_UP_TO_SINCE.format(MOST_COUNTED)} m)
                   + (select count(*) from {_LATER.format(MOST_COUNTED)} m)
      from aside a where a.log = 0) w
 where w.waiting > 0 group by w.slot"""
CALLBACKS_SQL = f"""
with cursor as (
    select c.slot, c.kind, c.mark, c.ranges,
           coalesce((select e.seq from event e where e.slot = c.slot and e.kind = c.kind
                      order by e.seq desc limit 1), 0) as last
      from event_cursor c),
     interval as (
    select c.slot, c.kind, (array[c.mark] || c.ranges)[2 * i + 1] as low,
           least(coalesce(c.ranges[2 * i + 1], c.last + 1), c.last + 1) as high
      from cursor c, generate_series(0, cardinality(c.ranges) / 2) as i)
select v.slot, v.kind, sum(case when v.high - v.low - 1 > {_COUNTED_PLACES} then v.high - v.low - 1
                   else (select count(*) from event e
                          where e.slot = v.slot and e.kind = v.kind
                            and e.seq > v.low and e.seq < v.high)
                   end)::bigint as waiting
  from interval v where v.high - v.low > 1 group by v.slot, v.kind"""

# The age of what waits longest: of messages, and of events by kind. What is parked counts too.
OLDEST_SQL = """
select coalesce(max(extract(epoch from clock_timestamp() - m.accepted_at)), 0)::float8
  from (select m.accepted_at
          from send_cursor c,
               lateral (select accepted_at from message m where m.slot = c.slot and m.seq > c.mark
                         order by seq limit 1) m
        union all
        select m.accepted_at
          from aside a,
               lateral (select accepted_at from message m
                         where m.slot = a.slot and m.number = a.number and m.seq > a.mark
                           and (m.seq <= a.since or m.aside) order by seq limit 1) m
         where a.log = 0) m"""
OLDEST_EVENTS_SQL = """
select c.kind, max(extract(epoch from clock_timestamp() - e.recorded_at))::float8 as age_s
  from event_cursor c,
       lateral (select recorded_at from event e
                 where e.slot = c.slot and e.kind = c.kind and e.seq > c.mark
                 order by seq limit 1) e
 group by c.kind"""

# In the order of an index, or a slot without any would be looked for in the whole table.
PARKED_SQL = f"""
select s.slot, n.parked from generate_series(0, {SLOTS - 1}) s(slot),
       lateral (select count(*) as parked from (
                    select 1 from parked_message p
                     where p.slot = s.slot order by p.seq limit {MOST_COUNTED}) p) n
 where n.parked > 0"""
_OF_KIND = """
select s.slot, k.kind, n.{1} from generate_series(0, {3}) s(slot), generate_series(0, 1) k(kind),
       lateral (select count(*) as {1} from (
                    select 1 from {0} p
                     where p.slot = s.slot and p.kind = k.kind
                     order by p.seq limit {2}) p) n
 where n.{1} > 0"""
PARKED_EVENTS_SQL = _OF_KIND.format("parked_event", "parked", MOST_COUNTED, SLOTS - 1)
DEAD_SQL = _OF_KIND.format("dead_letter", "dead", MOST_COUNTED, SLOTS - 1)


class BacklogCounts(msgspec.Struct, frozen=True):
    """The waiting rows by slot, and of events by slot and kind; what is not in a mapping is 0.

    ``oldest_s`` is the age of the message that waits longest, ``oldest_event_s`` of the event by
    kind, in seconds.
    """

    backlog: Mapping[int, int]
    parked: Mapping[int, int]
    callbacks: Mapping[tuple[int, int], int]
    parked_events: Mapping[tuple[int, int], int]
    dead: Mapping[tuple[int, int], int]
    oldest_s: float
    oldest_event_s: Mapping[int, float]


async def read_backlog(connection: Taken) -> BacklogCounts:
    """Count what waits, with a query each."""

    async def by_slot(sql: str) -> dict[int, int]:
        return {row[0]: row[1] for row in await connection.fetch(sql)}

    async def by_kind(sql: str) -> dict[tuple[int, int], int]:
        return {(row[0], row[1]): row[2] for row in await connection.fetch(sql)}

    return BacklogCounts(
        await by_slot(BACKLOG_SQL),
        await by_slot(PARKED_SQL),
        await by_kind(CALLBACKS_SQL),
        await by_kind(PARKED_EVENTS_SQL),
        await by_kind(DEAD_SQL),
        await connection.fetchval(OLDEST_SQL),
        {row["kind"]: row["age_s"] for row in await connection.fetch(OLDEST_EVENTS_SQL)},
    )

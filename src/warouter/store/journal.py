"""The journals of slots: messages out, events in; all fenced by (slot, epoch, incarnation).

Two dedicated sessions: appends never wait behind progress and events. An outcome that is not known
raises OutcomeUnknown; the caller then goes on under a new epoch only (``renew``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from warouter.config import Settings
from warouter.errors import OutcomeUnknown
from warouter.link.wire import Key
from warouter.store.database import WRITE_SECONDS, Session

INSERTED, KNOWN, FENCED, REFUSED, ALREADY, CLASHED = 0, 1, 2, 3, 4, 5
# What became of a row that was to be appended: one of these, or the id of the message that came
# before with the same key and the same request (ALREADY).
Fate = int | bytes
# The server gives up as well: what an owner no longer waits for must not hold a slot's lock.
# And whatever it believes of the sizes of tables, statements here go by an index in its order.
_LIMITS = {
    "lock_timeout": "1500ms",
    "statement_timeout": "3s",
    "enable_seqscan": "off",
    "enable_sort": "off",
}

_UNWRITABLE = "select unwritable() as missing"
_APPEND = "select * from append_messages($1,$2,$3,$4,$5,$6,$7,$8,$9)"
_APPEND_REQUESTS = "select * from append_requests($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)"
_APPEND_EVENTS = "select * from append_events($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)"
_RECORD = "select record_progress($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) as held"
_PAGE = """
select seq, id, recipient, kind, body, ttl,
       greatest(extract(epoch from clock_timestamp() - accepted_at), 0)::float8 as age
  from (select *, sum(octet_length(body)) over (order by seq) - octet_length(body) as before
          from message where slot = $1 and seq > $2 and seq <= $3 order by seq limit $4) as m
 where before < $5 order by seq"""
_EVENT_PAGE = """
select seq, kind, key, recipient, payload, contact
  from (select *, sum(octet_length(payload)) over (order by seq) - octet_length(payload) as before
          from event
         where slot = $1 and kind = $2 and seq > $3 and seq <= $4 order by seq limit $5) as e
 where before < $6 order by seq"""
# In how many seconds what is parked is due: no later than after the whole of its wait, wherever the
# database's clock has gone since. (Rows from before that was kept wait a day at most.)
_DUE_IN = """
extract(epoch from due_at - greatest(clock_timestamp(),
                                     coalesce(parked_at, due_at - interval '1 day')))::float8"""
_AGE = "greatest(extract(epoch from clock_timestamp() - {0}), 0)::float8"
# Rows of one recipient as a range in the order of their index, which no other index has: by the
# recipient alone a plan that was made when the table was small walks through all of a slot.
_OF_LANE = "(recipient, seq) >= ({0}, 0) and (recipient, seq) <= ({0}, 1::bigint << 62)"
# The first row of a lane, and which of its messages with a ttl ends first: of the next few.
_LANE = f"""
       lateral (select {_DUE_IN} as due_in,
                       case when kind <> 1 then $2 - {_AGE.format("accepted_at")} end as ends_in
                  from parked_message p
                 where p.slot = s.slot and {_OF_LANE.format("l.recipient")}
                 order by recipient, seq limit 1) f,
       lateral (select min(ttl - {_AGE.format("accepted_at")}) as ends_in
                  from (select ttl, accepted_at from parked_message p
                         where p.slot = s.slot and {_OF_LANE.format("l.recipient")}
                           and ttl is not null order by recipient, seq limit 64) p) t"""
_PARKED = f"""
select s.slot, l.recipient, l.full, f.due_in, least(f.ends_in, t.ends_in) as ends_in
  from unnest($1::smallint[]) s(slot),
       lateral (select recipient, sum(count(*)) over () >= $3 as full
                  from (select recipient from parked_message p
                         where p.slot = s.slot and look_at is not null
                         order by look_at limit $3) h
                 group by recipient) l,{_LANE}"""
_PARKED_AMONG = f"""
select l.recipient, f.due_in, least(f.ends_in, t.ends_in) as ends_in
  from (select $1::smallint as slot) s, unnest($3::text[]) l(recipient),{_LANE}"""
_PARKED_OF = f"""
select r.recipient, p.seq, p.id, p.kind, p.body, p.attempts, p.reason, p.ttl, p.age
  from unnest($2::text[]) r(recipient),
       lateral (select seq, id, kind, body, attempts, reason, ttl,
                      {_AGE.format("accepted_at")} as age
                  from parked_message m
                 where m.slot = $1 and {_OF_LANE.format("r.recipient")}
                 order by recipient, seq limit $3) p"""
# A range and a filter: the index finds them in every collation, see store.views.trace.
_WITH_STATUS = """
select i.id from unnest($1::text[]) as i(id)
 where exists (select 1 from event e where e.key >= i.id || ':' and e.key < i.id || ':xx'
                  and starts_with(e.key, i.id || ':'))"""
_EVENT_LANE = f"""
       lateral (select {_DUE_IN} as due_in from parked_event p
                 where p.slot = s.slot and p.kind = s.kind and {_OF_LANE.format("l.recipient")}
                 order by recipient, seq limit 1) f"""
_PARKED_EVENTS = f"""
select s.slot, s.kind, l.recipient, l.full, f.due_in, null::float8 as ends_in
  from unnest($1::smallint[], $2::smallint[]) s(slot, kind),
       lateral (select recipient, sum(count(*)) over () >= $3 as full
                  from (select recipient from parked_event p
                         where p.slot = s.slot and p.kind = s.kind and look_at is not null
                         order by look_at limit $3) h
                 group by recipient) l,{_EVENT_LANE}"""
_PARKED_EVENTS_AMONG = f"""
select l.recipient, f.due_in, null::float8 as ends_in
  from (select $1::smallint as slot, $2::smallint as kind) s,
       unnest($3::text[]) l(recipient),{_EVENT_LANE}"""
_PARKED_EVENTS_OF = f"""
select seq, kind, key, recipient, payload, contact, attempts, {_AGE.format("first_at")} as age
  from parked_event where slot = $1 and kind = $3 and {_OF_LANE.format("$2::text")}
 order by recipient, seq limit $4"""

# How far the database's clock is ahead of this node's makes everything younger.
_PRUNE = """
select prune($1, $2, $3,
             greatest($4 * interval '1 day', interval '10 minutes')
             + greatest(clock_timestamp() - to_timestamp($6), interval '0'), $5) as gone"""
_ASKED_LETTERS = """
select s.slot from unnest($1::smallint[]) s(slot)
 where exists (select from dead_letter d where d.slot = s.slot and d.asked_at is not null)"""
_TAKE_UP_LETTERS = "select * from take_up_letters($1,$2,$3, $4 * interval '1 second', $5)"


class Row(NamedTuple):
    """One message as it is appended or read; ``kind`` 1 is a read mark, 2 a message with media.

    ``ttl`` is in seconds; the key is not read back.
    """

    slot: int
    seq: int
    id: bytes
    recipient: str
    kind: int
    body: bytes | memoryview
    ttl: int | None = None
    key: Key | None = None


class EventRow(NamedTuple):
    """One event as it is appended or read. ``kind`` 0 is a status, 1 an inbound message."""

    slot: int
    seq: int
    kind: int
    key: str
    recipient: str
    payload: bytes
    contact: bytes | None


class Opened(msgspec.Struct, frozen=True):
    """The state of a slot's journals when its epoch began."""

    slot: int
    send_mark: int
    send_ranges: list[int]
    next_seq: int
    status_mark: int
    status_ranges: list[int]
    next_status_seq: int
    inbound_mark: int
    inbound_ranges: list[int]
    next_inbound_seq: int


class Progress(msgspec.Struct):
    """What one commit records: cursors as slot [, kind] -> (mark, ranges), and rarer changes.

    ``rare`` is described in ``schema/functions/record_progress.sql``.
    """

    send: dict[int, tuple[int, list[int]]]
    events: dict[tuple[int, int], tuple[int, list[int]]]
    rare: dict[str, list[dict[str, Any]]]


class Journal:
    """The journals, with the writes that one incarnation may make."""

    def __init__(self, settings: Settings, incarnation: UUID, application: str) -> None:
        self._incarnation = incarnation
        self._appends = Session(settings, application, **_LIMITS)
        self._records = Session(settings, application, **_LIMITS)

    async def problem(self) -> str:
        """Why this process cannot write its journals, or "".

        Both sessions are opened for it, and the database says which rights are missing.
        """
        try:
            for session in (self._appends, self._records):
                [row] = await session.fetch(_UNWRITABLE, within=WRITE_SECONDS)
                if row["missing"] is not None:
                    return str(row["missing"])
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            return str(error) or repr(error)
        return ""

    async def append(self, owned: Mapping[int, int], rows: Sequence[Row]) -> dict[int, Fate]:
        """Append in one commit; returns the ordinals that were not inserted, with the reason.

        ``owned`` is slot -> epoch for every slot in ``rows``. A data error bisects the batch, so
        one bad row cannot fail the others: its outcome is REFUSED.
        """
        return await self._bisect(self._append_once, owned, rows)

    async def append_events(
        self, owned: Mapping[int, int], rows: Sequence[EventRow]
    ) -> dict[int, int]:
        """As ``append``, for events: KNOWN means a repeat of the same key."""
        return await self._bisect(self._append_events_once, owned, rows)

    async def record(self, owned: Mapping[int, int], progress: Progress) -> set[int]:
        """Record progress in one commit; returns the slots that this incarnation still held."""
        send, events = progress.send, progress.events
        rows = await self._records.fetch(
            _RECORD,
            self._incarnation,
            list(owned),
            list(owned.values()),
            list(send),
            [mark for mark, _ in send.values()],
            [_ranges(flat) for _, flat in send.values()],
            [slot for slot, _ in events],
            [kind for _, kind in events],
            [mark for mark, _ in events.values()],
            [_ranges(flat) for _, flat in events.values()],
            msgspec.json.encode(progress.rare).decode() if progress.rare else None,
            within=WRITE_SECONDS,
        )
        return set(rows[0]["held"])

    async def open(self, owned: Mapping[int, int]) -> list[Opened]:
        """The first write of an epoch, for those of the slots that are held.

        The session of appends is opened before: a slot that cannot be appended to is not taken.
        """
        await self._appends.fetch(_UNWRITABLE, within=WRITE_SECONDS)
        rows = await self._records.fetch(
            "select * from open_slots($1,$2,$3)",
            self._incarnation,
            list(owned),
            list(owned.values()),
            within=WRITE_SECONDS,
        )
        return [Opened(*row) for row in rows]

    async def renew(self, slots: Sequence[int], above: Sequence[int]) -> dict[int, int]:
        """New epochs, above the given ones, for slots that this incarnation still owns.

        Needs no leader.
        """
        rows = await self._records.fetch(
            "select * from renew_epochs($1,$2,$3)",
            self._incarnation,
            list(slots),
            list(above),
            within=WRITE_SECONDS,
        )
        return {row["slot"]: row["epoch"] for row in rows}

    async def hand_over(self, owned: Mapping[int, int]) -> set[int]:
        """Give slots to their named successors; returns those that were given."""
        return await self._give("select hand_over($1,$2,$3) as gone", owned)

    async def release(self, owned: Mapping[int, int]) -> set[int]:
        """Leave slots without an owner, because this process stops and nobody can succeed it."""
        return await self._give("select release_slots($1,$2,$3) as gone", owned)

    async def page(
        self, slot: int, after: int, upto: int, limit: int, most_bytes: int
    ) -> list[tuple[Row, float]]:
        """Rows in seq order with their age in seconds: at most
        ``limit`` rows and about ``most_bytes`` of bodies.
        """
        rows = await self._records.fetch(
            _PAGE, slot, after, upto, limit, most_bytes, within=WRITE_SECONDS
        )
        return [(Row(slot, *fields), age) for *fields, age in rows]

    async def event_page(
        self, slot: int, kind: int, after: int, upto: int, limit: int, most_bytes: int
    ) -> list[EventRow]:
        """As ``page``, for events of one kind."""
        rows = await self._records.fetch(
            _EVENT_PAGE, slot, kind, after, upto, limit, most_bytes, within=WRITE_SECONDS
        )
        return [EventRow(slot, *row) for row in rows]

    async def with_status(self, ids: Sequence[str]) -> set[str]:
        """Those of the messages that have a status in the event journal."""
        rows = await self._records.fetch(_WITH_STATUS, list(ids), within=WRITE_SECONDS)
        return {row["id"] for row in rows}

    async def parked(self, slots: Sequence[int], pending: float, rows: int) -> list[Any]:
        """Parked recipients of each slot, from ``rows`` rows, those due first.

        recipient, due_in (seconds, may be below 0), ends_in: when the first of theirs ends by its
        ttl or after ``pending`` seconds, or None; full: there may be more of them.
        """
        return await self._records.fetch(_PARKED, list(slots), pending, rows, within=WRITE_SECONDS)

    async def parked_among(
        self, slot: int, recipients: Collection[str], pending: float
    ) -> list[Any]:
        """Those of the recipients that are parked, in the form of ``parked``."""
        return await self._records.fetch(
            _PARKED_AMONG, slot, pending, list(recipients), within=WRITE_SECONDS
        )

    async def parked_of(self, slot: int, recipients: Collection[str], limit: int) -> list[Any]:
        """The first messages of each recipient, at most ``limit``, in seq order."""
        return await self._records.fetch(
            _PARKED_OF, slot, list(recipients), limit, within=WRITE_SECONDS
        )

    async def parked_events(self, lanes: Sequence[tuple[int, int]], rows: int) -> list[Any]:
        """As ``parked``, for pairs of slot and kind; ends_in is None."""
        slots, kinds = zip(*lanes, strict=True) if lanes else ((), ())
        return await self._records.fetch(_PARKED_EVENTS, slots, kinds, rows, within=WRITE_SECONDS)

    async def parked_events_among(
        self, slot: int, kind: int, recipients: Collection[str]
    ) -> list[Any]:
        """As ``parked_among``."""
        return await self._records.fetch(
            _PARKED_EVENTS_AMONG, slot, kind, list(recipients), within=WRITE_SECONDS
        )

    async def parked_events_of(self, slot: int, recipient: str, kind: int, limit: int) -> list[Any]:
        return await self._records.fetch(
            _PARKED_EVENTS_OF, slot, recipient, kind, limit, within=WRITE_SECONDS
        )

    async def lead_parked(self, owned: Mapping[int, int], rows: int, seconds: float) -> bool:
        """Add the order that rows parked by an older build lack, a limited number at a time.

        Pages would be full of it. True if after so many seconds there may be more.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            found = await self._records.fetch(
                "select lead_parked($1,$2,$3,$4) as led",
                self._incarnation,
                list(owned),
                list(owned.values()),
                rows,
                within=WRITE_SECONDS,
            )
            if found[0]["led"] < rows:
                return False
            if loop.time() >= until:
                return True

    async def mend_parked(self, owned: Mapping[int, int], limit: int) -> int:
        """After the database's clock went back: let rows that were
        parked in the future wait from now on.

        At most ``limit`` recipients a table; how many.
        """
        rows = await self._records.fetch(
            "select mend_parked($1,$2,$3,$4) as mended",
            self._incarnation,
            list(owned),
            list(owned.values()),
            limit,
            within=WRITE_SECONDS,
        )
        return int(rows[0]["mended"])

    async def asked_letters(self, slots: Sequence[int]) -> list[int]:
        """Those of the slots that have dead letters to replay."""
        rows = await self._records.fetch(_ASKED_LETTERS, list(slots), within=WRITE_SECONDS)
        return [row["slot"] for row in rows]

    async def take_up_letters(
        self, owned: Mapping[int, int], tried: float, limit: int
    ) -> list[tuple[int, int, str, int]]:
        """Move dead letters to the parked events, as if first tried this many seconds ago.

        How many came to which lane: (slot, kind, recipient, letters).
        """
        rows = await self._records.fetch(
            _TAKE_UP_LETTERS,
            self._incarnation,
            list(owned),
            list(owned.values()),
            tried,
            limit,
            within=WRITE_SECONDS,
        )
        return [tuple(row) for row in rows]

    async def prune(self, owned: Mapping[int, int], days: float, limit: int) -> int:
        """Delete up to ``limit`` settled rows, for each slot and
        journal, that are older than ``days``.

        By the database's clock and by this node's: one that was set forward takes nothing away, or
        an id that is offered again would not be recognised.
        """
        rows = await self._records.fetch(
            _PRUNE,
            self._incarnation,
            list(owned),
            list(owned.values()),
            days,
            limit,
            time.time(),
            within=WRITE_SECONDS,
        )
        return int(rows[0]["gone"])

    async def prune_keys(self, slots: Sequence[int], limit: int) -> int:
        """Delete up to ``limit`` request keys of these slots that are older than 24 hours."""
        rows = await self._records.fetch(
            "select prune_keys($1,$2) as gone", list(slots), limit, within=WRITE_SECONDS
        )
        return int(rows[0]["gone"])

    def terminate(self) -> None:
        self._appends.terminate()
        self._records.terminate()

    async def close(self) -> None:
        await self._appends.close()
        await self._records.close()

    async def _give(self, sql: str, owned: Mapping[int, int]) -> set[int]:
        rows = await self._records.fetch(
            sql, self._incarnation, list(owned), list(owned.values()), within=WRITE_SECONDS
        )
        return set(rows[0]["gone"])

    async def _append_once(self, owned: Mapping[int, int], rows: Sequence[Row]) -> dict[int, Fate]:
        slots, seqs, ids, recipients, kinds, bodies, ttls, keys = zip(*rows, strict=True)
        if any(ttls) or any(keys):
            columns = [slots, seqs, ids, recipients, kinds, bodies, ttls]
            return await self._append_requests(owned, columns, keys)
        answer = await self._appends.fetch(
            _APPEND,
            self._incarnation,
            list(owned),
            list(owned.values()),
            slots,
            seqs,
            ids,
            recipients,
            _unless_empty(kinds),
            bodies,
            within=WRITE_SECONDS,
        )
        return {row["ordinal"]: row["outcome"] for row in answer}

    async def _append_requests(
        self, owned: Mapping[int, int], columns: list[Any], keys: Sequence[Key | None]
    ) -> dict[int, Fate]:
        answer = await self._appends.fetch(
            _APPEND_REQUESTS,
            self._incarnation,
            list(owned),
            list(owned.values()),
            *columns,
            [key and key.name for key in keys],
            [key and key.request for key in keys],
            within=WRITE_SECONDS,
        )
        return {
            row["ordinal"]: row["first"] if row["outcome"] == ALREADY else row["outcome"]
            for row in answer
        }

    async def _append_events_once(
        self, owned: Mapping[int, int], rows: Sequence[EventRow]
    ) -> dict[int, int]:
        slots, seqs, kinds, keys, recipients, payloads, contacts = zip(*rows, strict=True)
        answer = await self._records.fetch(
            _APPEND_EVENTS,
            self._incarnation,
            list(owned),
            list(owned.values()),
            slots,
            seqs,
            _unless_empty(kinds),
            keys,
            recipients,
            payloads,
            _unless_empty(contacts),
            within=WRITE_SECONDS,
        )
        return {row["ordinal"]: row["outcome"] for row in answer}

    async def _bisect(self, once: Any, owned: Mapping[int, int], rows: Any) -> dict[int, Any]:
        try:
            outcomes: dict[int, Any] = await once(owned, rows)
            return outcomes
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "")[:2] not in ("22", "23", "54"):
                raise
            if len(rows) == 1:
                return {0: REFUSED}
        middle = len(rows) // 2
        left = await self._bisect(once, owned, rows[:middle])
        right = await self._bisect(once, owned, rows[middle:])
        return left | {middle + n: outcome for n, outcome in right.items()}


def _unless_empty(column: Sequence[Any]) -> Sequence[Any] | None:
    """None for a column of zeros or Nones, the usual case, which then needs no encoding."""
    return column if any(column) else None


def _ranges(flat: Sequence[int]) -> str:
    """Ranges as an array literal: they differ in length, and PostgreSQL has no ragged arrays."""
    return "{" + ",".join(map(str, flat)) + "}"

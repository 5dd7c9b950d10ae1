"""Messages into the journal, and back from it in seq order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

from warouter.flow.aside import AsideStretch
from warouter.link._frames import columns
from warouter.link.wire import Message
from warouter.store.journal.issues import COLUMNS, OF_MESSAGE, issue_of
from warouter.store.journal.outcome import (
    ALREADY,
    Already,
    Exceptions,
    RowOutcome,
    in_halves,
    is_data_error,
)
from warouter.store.journal.rows import ReadRow, Stretch
from warouter.store.journal.sessions import JournalSessions, columns_of, numbered, unless_ones

_APPEND = "select * from append_messages($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)"
_APPEND_ISSUED = f"select * from append_issued({numbered(16)})"
_APPEND_REQUESTS = f"select * from append_requests({numbered(14)})"
_PLAIN = 8  # columns of messages without ttl and key
_OF_MESSAGE = slice(1, 9)  # columns of a page
_PAGES = f"""
select m.slot, m.seq, m.id, m.recipient, m.kind, m.body, m.ttl,
       greatest(extract(epoch from clock_timestamp() - accepted_at), 0)::float8 as age, m.number,
       {COLUMNS}
  from unnest($1::smallint[], $2::bigint[], $3::bigint[]) w(slot, after, upto),
       lateral (select *, sum(octet_length(body)) over (order by seq) - octet_length(body) as before
                  from message where slot = w.slot and seq > w.after and seq <= w.upto
                 order by seq limit $4) as m
  {OF_MESSAGE}
 where before < $5 order by m.slot, m.seq"""
# The rows of one number: of those with the flag by message_aside, else by the primary key.
_ASIDE_PAGE = f"""
select m.slot, m.seq, m.id, m.recipient, m.kind, m.body, m.ttl,
       greatest(extract(epoch from clock_timestamp() - accepted_at), 0)::float8 as age, m.number,
       {COLUMNS}
  from (select *, sum(octet_length(body)) over (order by seq) - octet_length(body) as before
          from message where slot = $1 and number = $2 and seq > $3 and seq <= $4{{}}
         order by seq limit $5) as m
  {OF_MESSAGE}
 where before < $6 order by m.seq"""
_FLAGGED_PAGE = _ASIDE_PAGE.format(" and aside")
_UNFLAGGED_PAGE = _ASIDE_PAGE.format("")
_UNPRECEDED = """
select f.seq from unnest($3::bigint[], $4::integer[], $5::text[]) f(seq, number, recipient)
 where not exists (select from message m
                    where m.slot = $1 and m.seq > $2 and m.seq < f.seq
                      and m.number = f.number and m.recipient = f.recipient)"""
# A range and a filter: the index finds them in every collation, see store.views.trace.
_WITH_STATUS = """
select i.id from unnest($1::text[]) as i(id)
 where exists (select 1 from event e where e.key >= i.id || ':' and e.key < i.id || ':xx'
                  and starts_with(e.key, i.id || ':'))"""


class Messages(JournalSessions):
    """The journal of messages."""

    async def append(self, owned: Mapping[int, int], rows: Sequence[Message]) -> Exceptions:
        """Append in one commit; the ordinals of those that were not simply appended.

        Each has its seq. ``owned`` is slot -> epoch for every slot in ``rows``.
        """
        return await in_halves(self._append_once, owned, rows)

    async def append_issued(
        self, owned: Mapping[int, int], rows: Sequence[Message], issued: Sequence[Message]
    ) -> tuple[Exceptions, bool]:
        """Append messages with the issue rows of those that may leave right after.

        True: all of ``issued`` have their row. Else none has.
        """
        given = columns(list(rows))
        if not issued or len(given) != _PLAIN:
            return await self.append(owned, rows), False
        marks = columns_of([(m.slot, m.seq, m.id, m.recipient) for m in issued], 4)
        numbers = unless_ones([m.number for m in issued])
        try:
            answer = await self._fenced(
                self._appends, _APPEND_ISSUED, owned, *given, *marks, numbers
            )
        except asyncpg.PostgresError as error:
            if not is_data_error(error):
                raise
            return await self.append(owned, rows), False
        return {row["ordinal"]: RowOutcome(row["outcome"]) for row in answer}, not answer

    async def pages(
        self, stretches: Sequence[Stretch], limit: int, most_bytes: int
    ) -> dict[int, list[ReadRow]]:
        """Rows by slot, in seq order: of each slot at most ``limit``, and with bodies of
        ``most_bytes`` together.
        """
        given = columns_of(stretches, len(Stretch._fields))
        pages: dict[int, list[ReadRow]] = {stretch.slot: [] for stretch in stretches}
        for row in await self._read(_PAGES, *given, limit, most_bytes):
            slot = row["slot"]
            pages[slot].append(ReadRow(*(*row[_OF_MESSAGE], issue_of(slot, row))))
        return pages

    async def aside_page(
        self, slot: int, number: int, stretch: AsideStretch, most_bytes: int
    ) -> list[ReadRow]:
        """Rows of the number in a part of the slot's journal, as ``pages`` reads those of all."""
        sql = _FLAGGED_PAGE if stretch.flagged else _UNFLAGGED_PAGE
        place = slot, number, stretch.after, stretch.upto
        rows = await self._read(sql, *place, stretch.limit, most_bytes)
        return [ReadRow(*(*row[_OF_MESSAGE], issue_of(slot, row))) for row in rows]

    async def unpreceded(
        self, slot: int, after: int, messages: Sequence[tuple[int, int, str]]
    ) -> set[int]:
        """Return those of the messages (seq, number, recipient) before which, from ``after`` on,
        their lane has no other.
        """
        rows = await self._cloud_read(_UNPRECEDED, slot, after, *columns_of(messages, 3))
        return {row["seq"] for row in rows}

    async def with_status(self, ids: Sequence[str]) -> set[str]:
        """Return those of the messages that have a status in the event journal."""
        return {row["id"] for row in await self._read(_WITH_STATUS, list(ids))}

    async def _append_once(self, owned: Mapping[int, int], rows: Sequence[Message]) -> Exceptions:
        given = columns(list(rows))
        sql = _APPEND if len(given) == _PLAIN else _APPEND_REQUESTS
        answer = await self._fenced(self._appends, sql, owned, *given)
        return {
            row["ordinal"]: Already(row["first"])
            if row["outcome"] == ALREADY
            else RowOutcome(row["outcome"])
            for row in answer
        }

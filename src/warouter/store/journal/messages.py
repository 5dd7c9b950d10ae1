"""Messages into the journal, and back from it in seq order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from warouter.link.wire import Key
from warouter.store.journal.outcome import ALREADY, Already, Exceptions, Fate, in_halves
from warouter.store.journal.rows import ReadRow, Row
from warouter.store.journal.sessions import Sessions, unless_empty

_APPEND = "select * from append_messages($1,$2,$3,$4,$5,$6,$7,$8,$9)"
_APPEND_REQUESTS = "select * from append_requests($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)"
_PAGE = """
select seq, id, recipient, kind, body, ttl,
       greatest(extract(epoch from clock_timestamp() - accepted_at), 0)::float8 as age
  from (select *, sum(octet_length(body)) over (order by seq) - octet_length(body) as before
          from message where slot = $1 and seq > $2 and seq <= $3 order by seq limit $4) as m
 where before < $5 order by seq"""
# A range and a filter: the index finds them in every collation, see store.views.trace.
_WITH_STATUS = """
select i.id from unnest($1::text[]) as i(id)
 where exists (select 1 from event e where e.key >= i.id || ':' and e.key < i.id || ':xx'
                  and starts_with(e.key, i.id || ':'))"""


class Messages(Sessions):
    """The journal of messages."""

    async def append(self, owned: Mapping[int, int], rows: Sequence[Row]) -> Exceptions:
        """Append in one commit; the ordinals of those that were not simply appended.

        ``owned`` is slot -> epoch for every slot in ``rows``.
        """
        return await in_halves(self._append_once, owned, rows)

    async def page(
        self, slot: int, after: int, upto: int, limit: int, most_bytes: int
    ) -> list[ReadRow]:
        """Rows in seq order: at most ``limit``, and none beyond those whose bodies make up
        ``most_bytes``.
        """
        rows = await self._read(_PAGE, slot, after, upto, limit, most_bytes)
        return [ReadRow(*row) for row in rows]

    async def with_status(self, ids: Sequence[str]) -> set[str]:
        """Return those of the messages that have a status in the event journal."""
        return {row["id"] for row in await self._read(_WITH_STATUS, list(ids))}

    async def _append_once(self, owned: Mapping[int, int], rows: Sequence[Row]) -> Exceptions:
        slots, seqs, ids, recipients, kinds, bodies, ttls, keys = zip(*rows, strict=True)
        if any(ttls) or any(keys):
            columns = [slots, seqs, ids, recipients, kinds, bodies, ttls]
            return await self._append_requests(owned, columns, keys)
        answer = await self._append_rows(
            _APPEND, owned, slots, seqs, ids, recipients, unless_empty(kinds), bodies
        )
        return {row["ordinal"]: Fate(row["outcome"]) for row in answer}

    async def _append_requests(
        self, owned: Mapping[int, int], columns: list[Any], keys: Sequence[Key | None]
    ) -> Exceptions:
        names = [key and key.name for key in keys]
        requests = [key and key.request for key in keys]
        answer = await self._append_rows(_APPEND_REQUESTS, owned, *columns, names, requests)
        return {
            row["ordinal"]: Already(row["first"])
            if row["outcome"] == ALREADY
            else Fate(row["outcome"])
            for row in answer
        }

"""Issue rows: which requests to the Cloud API may be out, or may have been taken.

A row is on disk before its request begins. With the message (``Messages.append_issued``) or here;
it changes and goes with the record that says what became of the request (``progress``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from warouter.flow.doubt.states import RowState
from warouter.store.journal.outcome import FENCED, PROVEN, Exceptions
from warouter.store.journal.sessions import JournalSessions, columns_of

_ISSUE = "select * from issue_requests($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)"
_OPEN = "select open_issues($1,$2,$3)"
# What a statement that reads messages says of the issue row ``s`` of each; nulls where it has none.
# max(wamid || ''): without that a server that has not counted yet reads all wamids from the last
# one down, for each row.
COLUMNS = """s.attempt as issue_attempt, s.doubts as issue_doubts,
       s.spared as issue_spared, s.state as issue_state,
       greatest(extract(epoch from clock_timestamp() - s.at), 0)::float8 as issue_age,
       s.cause as issue_cause,
       extract(epoch from s.look_at - clock_timestamp())::float8 as issue_look_in,
       s.look_at = s.at as issue_fresh,
       (select max(u.wamid || '') from upstream_id u where u.id = s.id) as issue_wamid,
       s.number as issue_number"""
# The issue row of a message ``m``, by its place: a plan for small tables would join all of them.
OF_MESSAGE = """left join lateral (
       select * from send_issue i
        where i.slot = m.slot and i.seq between m.seq and m.seq
        order by i.slot, i.seq limit 1) s on true"""
# Of a message that is not read itself: what says how it is treated.
MESSAGE = """m.kind as issue_kind,
       case when position('"template"'::bytea in m.body) > 0 then m.body end as issue_body,
       m.ttl as issue_ttl,
       greatest(extract(epoch from clock_timestamp() - m.accepted_at), 0)::float8
         as issue_message_age, m.seq is not null as issue_stored"""
DUE = f"""
select s.slot, s.seq, s.id, s.recipient, {MESSAGE}, {COLUMNS}
  from unnest($1::smallint[], $2::integer[]) w(slot, most),
       lateral (select * from send_issue i
                 where i.slot = w.slot and i.look_at is not null
                 order by i.look_at limit w.most) s
  left join lateral (
       select * from message o where o.slot = s.slot and o.seq between s.seq and s.seq
        order by o.slot, o.seq limit 1) m on true"""
_OUTCOMES = {2: FENCED, 6: PROVEN}

# The states of a row.
ISSUED, DOUBTED, KEPT, NOT_TAKEN, ASIDE, SAID, RETURNING, AGAIN = map(int, RowState)
IN_DOUBT = (DOUBTED, ASIDE, RETURNING)


class IssueRequest(NamedTuple):
    """A request that is to begin; ``doubts``: attempts before it that may have been taken."""

    slot: int
    seq: int
    id: bytes
    recipient: str
    attempt: int
    doubts: int
    number: int = 1


class StoredIssue(msgspec.Struct, frozen=True):
    """A row as it is read, ``age`` seconds after its state began.

    ``kind``, ``ttl`` and ``message_age`` are those of its message, which is ``stored``, as a rule;
    so is ``body``, at least that of a template. In ``look_in`` seconds time may change the state.
    ``fresh``: the slot was opened since it was issued, and nobody has looked. ``wamid`` is an id of
    an attempt that was taken, ``number`` whose message it is.
    """

    slot: int
    seq: int
    id: bytes
    recipient: str
    kind: int | None
    body: bytes | None
    ttl: int | None
    message_age: float | None
    stored: bool
    attempt: int
    doubts: int
    spared: int
    state: int
    age: float
    cause: str | None
    look_in: float | None
    fresh: bool | None
    wamid: str | None
    number: int = 1


def issue_of(slot: int, row: Mapping[str, Any]) -> StoredIssue | None:
    """The issue row of a message that was read with ``COLUMNS``, if it has one."""
    if row["issue_state"] is None:
        return None
    of_message = row["kind"], row["body"], row["ttl"], row["age"], True
    place = slot, row["seq"], row["id"], row["recipient"]
    return StoredIssue(*place, *of_message, *(row[name] for name in _NAMES))


_FACTS = "attempt doubts spared state age cause look_in fresh wamid number"
_NAMES = tuple(f"issue_{fact}" for fact in _FACTS.split())


class IssueRows(JournalSessions):
    """The issue rows of this incarnation's slots."""

    async def issue(self, owned: Mapping[int, int], rows: Sequence[IssueRequest]) -> Exceptions:
        """Write the rows of requests; the ordinals of those that may not begin.

        PROVEN: an earlier attempt was taken, as is known by now.
        """
        columns = columns_of(rows, len(IssueRequest._fields))
        answer = await self._fenced(self._issues, _ISSUE, owned, *columns)
        return {row["ordinal"]: _OUTCOMES[row["outcome"]] for row in answer}

    async def open_issues(self, owned: Mapping[int, int]) -> None:
        """Doubt the requests that a former owner may have begun."""
        await self._fenced(self._issues, _OPEN, owned)

    async def due_issues(self, pages: Mapping[int, int]) -> list[StoredIssue]:
        """Read the rows of each slot that are to be looked at first, so many of them."""
        rows = await self._cloud_read(DUE, list(pages), list(pages.values()))
        return [StoredIssue(*row) for row in rows]

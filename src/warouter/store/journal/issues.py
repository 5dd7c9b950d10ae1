"""Issue rows: which requests to the Cloud API may be out, or may have been taken.

A row is on disk before its request begins. With the message (``Messages.append_issued``) or here;
it changes and goes with the record that says what became of the request (``progress``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from warouter.store.journal.outcome import FENCED, PROVEN, Exceptions
from warouter.store.journal.rows import FAILED
from warouter.store.journal.sessions import JournalSessions, columns_of

_ISSUE = "select * from issue_requests($1,$2,$3,$4,$5,$6,$7,$8,$9)"
_OPEN = f"""
select o.*, exists (select from parked_message p where p.slot = o.slot and p.seq = o.seq) as parked,
       {FAILED.format("o.id")}
  from open_issues($1,$2,$3) o"""
_OUTCOMES = {2: FENCED, 6: PROVEN}

# The states of a row.
ISSUED, DOUBTED, KEPT, NOT_TAKEN = 1, 2, 3, 4


class IssueRequest(NamedTuple):
    """A request that is to begin; ``doubts``: attempts before it that may have been taken."""

    slot: int
    seq: int
    id: bytes
    recipient: str
    attempt: int
    doubts: int


class OpenIssue(msgspec.Struct, frozen=True):
    """A row as the next owner finds it; ``age`` in seconds since it was issued or in doubt.

    ``body`` and what belongs to it is that of its message, None if that is gone. ``wamid`` is an
    id of an attempt that was taken. ``parked``: its message is. ``failed``: its business was told.
    """

    slot: int
    seq: int
    id: bytes
    recipient: str
    attempt: int
    doubts: int
    state: int
    age: float
    cause: str | None
    kind: int | None
    body: bytes | None
    ttl: int | None
    message_age: float | None
    wamid: str | None
    parked: bool = False
    failed: bool = False


class IssueRows(JournalSessions):
    """The issue rows of this incarnation's slots."""

    async def issue(self, owned: Mapping[int, int], rows: Sequence[IssueRequest]) -> Exceptions:
        """Write the rows of requests; the ordinals of those that may not begin.

        PROVEN: an earlier attempt was taken, as is known by now.
        """
        columns = columns_of(rows, len(IssueRequest._fields))
        answer = await self._fenced(self._issues, _ISSUE, owned, *columns)
        return {row["ordinal"]: _OUTCOMES[row["outcome"]] for row in answer}

    async def open_issues(self, owned: Mapping[int, int]) -> list[OpenIssue]:
        """Read the requests that a former owner may have begun; from now on they are in doubt."""
        rows = await self._fenced(self._issues, _OPEN, owned)
        return [OpenIssue(*row) for row in rows]

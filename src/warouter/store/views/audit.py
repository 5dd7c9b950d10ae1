"""The audit log as people read it, and row by row as it is verified and followed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from warouter.store.views.chain import Before, Ends, Row

PAGE = 1000
# An action and its end are two rows, shown as one; the end is never far behind. Rows from before
# the chain have the time of a sum's first in `at`, later ones in `since`.
_LATEST = """
with recent as (
    select * from audit where of is null order by id desc limit $1
), ended as (
    select of, subject, outcome from audit
     where id > (select min(id) from recent) and of is not null
), entry as (
    select r.id, case when r.hash is null then r.at else coalesce(r.since, r.at) end as at,
           r.actor, r.action, coalesce(e.subject, r.subject) as subject, r.source,
           coalesce(e.outcome, r.outcome) as outcome, r.times, false as pending
      from recent r left join ended e on e.of = r.id
    union all
    select null, first, actor, action, '', source, outcome, times, true from audit_pending
)
select to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') as at,
       actor, action, subject, source, outcome, times, pending
  from entry e order by e.at desc, e.id desc nulls first limit $1"""
_ONE = """
select to_char(coalesce(r.since, r.at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') as at,
       r.actor, r.action, coalesce(e.subject, r.subject) as subject, r.source,
       coalesce(e.outcome, r.outcome) as outcome, r.times
  from audit r left join audit e on e.of = r.id and e.id > r.id
 where r.id = $1 and r.of is null"""
_ENDS = """
select began_after, tail_id, encode(tail_hash, 'hex'), head_id, encode(head_hash, 'hex'),
       coalesce((select max(id) from audit), 0)
  from audit_chain"""
_ROWS = """
select id, at, actor, action, subject, source, outcome, of, times, since, hash
  from audit where id > $1 and id <= $2 order by id limit $3"""
_BEFORE = """
select count(*), min(id), min(id) filter (where hash is not null) from audit where id <= $1"""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One action, or one sum. ``at`` is UTC as text; ``source`` is the address that the request
    came from.

    ``times`` above 1: so many equal ones within a minute, ``at`` the first. ``pending``: the minute
    is not over, and the sum may still grow; it is no row of the log yet.
    """

    at: str
    actor: str
    action: str
    subject: str
    source: str
    outcome: str
    times: int
    pending: bool = False


async def read_audit(connection: Any, most: int) -> list[Entry]:
    """The latest ``most`` entries, newest first."""
    return [Entry(*row) for row in await connection.fetch(_LATEST, most)]


async def read_entry(connection: Any, number: int) -> Entry | None:
    """The action that began with this row; None if there is no such row."""
    row = await connection.fetchrow(_ONE, number)
    return None if row is None else Entry(*row)


async def read_ends(connection: Any) -> Ends | None:
    """Both ends of the chain, of one moment; None if the database has lost them."""
    row = await connection.fetchrow(_ENDS)
    return None if row is None else Ends(*row)


async def read_rows(connection: Any, after: int, upto: int) -> list[Row]:
    """The first ``PAGE`` of the rows with these numbers, oldest first."""
    return [_row(row) for row in await connection.fetch(_ROWS, after, upto, PAGE)]


async def read_before(connection: Any, ends: Ends) -> Before:
    """What there is of the rows up to the anchor."""
    return Before(*await connection.fetchrow(_BEFORE, ends.tail_id))


def _row(row: Mapping[str, Any]) -> Row:
    fields = dict(row)
    fields["at"] = _text(fields["at"])
    fields["since"] = fields["since"] and _text(fields["since"])
    fields["hash"] = fields["hash"].hex() if fields["hash"] else ""
    return Row(**fields)


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"

"""The audit log as people read it, and row by row as it is verified and followed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from warouter.store.views.chain import ChainRow, Ends

PAGE = 1000
WITHIN = 1 << 60  # all
# An action and its end are two rows, shown as one; the end is never far behind.
_LATEST = """
with recent as (
    select * from audit where of is null order by id desc limit $1
), ended as (
    select of, subject, outcome from audit
     where id > (select min(id) from recent) and of is not null
), entry as (
    select r.id, coalesce(r.since, r.at) as at, r.actor, r.action,
           coalesce(e.subject, r.subject) as subject, r.source,
           coalesce(e.outcome, r.outcome) as outcome, r.times, false as pending
      from recent r left join ended e on e.of = r.id
    union all
    select null, first, actor, action, '', source, outcome, times, true from audit_pending
)
select to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') as at,
       actor, action, subject, source, outcome, times, pending
  from entry e order by e.at desc, e.id desc nulls first limit $1"""
# The same of what is chosen: an action that is under way has no end, and a pending sum no number.
_CHOSEN = """
with begun as (
    select id, coalesce(since, at) as at, actor, action, subject, source, outcome, times
      from audit
     where of is null and ($8::bigint is null or id <= $8)
       and id > (select max(id) from audit) - $9::bigint
       and ($2 = '' or actor = $2) and ($3 = '' or action = $3)
       and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
), entry as (
    select b.id, b.at, b.actor, b.action, coalesce(e.subject, b.subject) as subject, b.source,
           coalesce(e.outcome, b.outcome) as outcome, b.times, false as pending
      from begun b left join audit e on e.of = b.id and e.id > b.id
                                    and e.id > (select max(id) from audit) - $9::bigint
    union all
    select null, first, actor, action, '', source, outcome, times, true from audit_pending
     where $8::bigint is null and ($2 = '' or actor = $2) and ($3 = '' or action = $3)
       and ($5::timestamptz is null or first >= $5) and ($6::timestamptz is null or first < $6)
)
select id, to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') as at,
       actor, action, subject, source, outcome, times, pending
  from entry e
 where ($4 = '' or starts_with(outcome, $4)) and (not $7::boolean or outcome <> 'done')
 order by e.id desc nulls first, e.at desc limit $1"""
_ACTIONS = """
select distinct action from (
    (select action from audit where of is null order by id desc limit 1000)
    union all select action from audit_pending) a order by 1"""
_ONE = """
select to_char(coalesce(r.since, r.at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') as at,
       r.actor, r.action, coalesce(e.subject, r.subject) as subject, r.source,
       coalesce(e.outcome, r.outcome) as outcome, r.times
  from audit r left join audit e on e.of = r.id and e.id > r.id
 where r.id = $1 and r.of is null"""
_ENDS = """
select tail_id, encode(tail_hash, 'hex'), head_id, encode(head_hash, 'hex'),
       (select min(id) from audit), coalesce((select max(id) from audit), 0)
  from audit_chain"""
_ROWS = """
select id, at, actor, action, subject, source, outcome, of, times, since, hash
  from audit where id > $1 and id <= $2 order by id limit $3"""


class AuditEntry(msgspec.Struct, frozen=True, omit_defaults=True):
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


class Choice(NamedTuple):
    """Which entries: those that match every field that is set.

    ``outcome`` is how it begins, such as ``done`` or ``401``; ``failed``: any but ``done``.
    ``upto`` is the number of the newest. Of the rows only the newest ``within`` are looked at.
    """

    actor: str = ""
    action: str = ""
    outcome: str = ""
    failed: bool = False
    since: datetime | None = None
    until: datetime | None = None
    upto: int | None = None
    within: int = WITHIN


async def read_audit(connection: Any, most: int) -> list[AuditEntry]:
    """The latest ``most`` entries, newest first."""
    return [AuditEntry(*row) for row in await connection.fetch(_LATEST, most)]


async def read_chosen(
    connection: Any, most: int, choice: Choice
) -> list[tuple[int | None, AuditEntry]]:
    """The latest ``most`` of these entries with the numbers of their rows, newest first; what is
    pending has none yet.
    """
    rows = await connection.fetch(
        _CHOSEN,
        most,
        choice.actor,
        choice.action,
        choice.outcome,
        choice.since,
        choice.until,
        choice.failed,
        choice.upto,
        choice.within,
    )
    return [(number, AuditEntry(*fields)) for number, *fields in rows]


async def read_actions(connection: Any) -> list[str]:
    """The names of the actions among the latest 1,000, for who chooses one."""
    return [row[0] for row in await connection.fetch(_ACTIONS)]


async def read_entry(connection: Any, number: int) -> AuditEntry | None:
    """The action that began with this row; None if there is no such row."""
    row = await connection.fetchrow(_ONE, number)
    return None if row is None else AuditEntry(*row)


async def read_ends(connection: Any) -> Ends | None:
    """Read both ends of the chain, of one moment; None if the database has lost them."""
    row = await connection.fetchrow(_ENDS)
    return None if row is None else Ends(*row)


async def read_rows(connection: Any, after: int, upto: int) -> list[ChainRow]:
    """The first ``PAGE`` of the rows with these numbers, oldest first."""
    return [_row(row) for row in await connection.fetch(_ROWS, after, upto, PAGE)]


def _row(row: Mapping[str, Any]) -> ChainRow:
    fields = dict(row)
    fields["at"] = _text(fields["at"])
    fields["since"] = fields["since"] and _text(fields["since"])
    fields["hash"] = fields["hash"].hex()
    return ChainRow(**fields)


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"

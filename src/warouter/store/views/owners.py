"""The owner log: changes of owners by filter, the latest first, and who owned which slot when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from warouter._hash import SLOTS
from warouter.cluster.moves import OwnerChange, moment, owners_at
from warouter.store.database import Taken

_COLUMNS = """
to_char(l.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at,
       extract(epoch from clock_timestamp() - l.at)::float8 as age_s,
       l.slot, l.from_node, l.to_node, l.epoch, l.term, l.reason, l.observed_age_ms,
       round(extract(epoch from l.opened_at - l.at) * 1000)::integer as opened_ms"""
_CHANGES = f"""
select {_COLUMNS} from owner_log l
 where ($2::text is null or l.reason = $2)
   and ($3::text is null or l.from_node = $3 or l.to_node = $3)
   and ($4::timestamptz is null or l.at >= $4)
   and ($5::timestamptz is null or l.at <= $5)
 order by l.id desc limit $1"""
# Of each slot the last change before $1, and the first one that was not.
_AROUND = f"""
select {_COLUMNS}
  from generate_series(0, {SLOTS - 1}) s(slot),
       lateral ((select o.* from owner_log o where o.slot = s.slot and o.at < $1
                  order by o.id desc limit 1)
                union all
                (select o.* from owner_log o where o.slot = s.slot and o.at >= $1
                  order by o.id limit 1)) l
 order by l.id desc"""


class OwnerLogFilter(msgspec.Struct, frozen=True):
    """Which changes: None for all. ``node``: it gave or got the slot."""

    reason: str | None = None
    node: str | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL = OwnerLogFilter()


async def read_changes(
    connection: Taken, most: int, wanted: OwnerLogFilter = ALL
) -> list[OwnerChange]:
    """The last changes that are wanted, the latest first, at most ``most``."""
    rows = await connection.fetch(
        _CHANGES, most, wanted.reason, wanted.node, wanted.since, wanted.until
    )
    return [OwnerChange(**row) for row in rows]


async def read_owners(connection: Taken, at: datetime) -> Mapping[int, str | None]:
    """The name of each slot's owner at a time, None: nobody; without the slots that nobody knows
    of. ``at`` has its zone.
    """
    until = at.replace(microsecond=at.microsecond // 1000 * 1000) + timedelta(milliseconds=1)
    rows = await connection.fetch(_AROUND, until)
    return owners_at([OwnerChange(**row) for row in rows], moment(at.astimezone(UTC)))

"""Media as operators see it: how much is kept, of what type, and what could not be fetched.

Types are counted among the newest ``MOST_COUNTED`` only, and what waits among as many parked
messages; bytes are those of all.
"""

from __future__ import annotations

from typing import Any

import msgspec

from warouter.kinds import MEDIA
from warouter.store.database import Source
from warouter.store.media import RECEIVED, UPLOADED
from warouter.store.reports import FRESH_SECONDS
from warouter.store.views.setup.environment import EnvironmentStatus

MOST_COUNTED = 100_000
MOST_REASONS = 20
QUOTA = "WAROUTER_MEDIA_QUOTA"
_DIRECTIONS = {UPLOADED: "uploaded", RECEIVED: "received"}
_ISO = """to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
_TOTAL = f"""
select coalesce(sum(bytes), 0)::bigint as bytes,
       (select {_ISO.format("min(created_at)")} from media) as oldest
  from media_total"""
_TYPES = f"""
select kind, split_part(lower(mime), '/', 1) as type, count(*) as files, sum(size)::bigint as bytes,
       {_ISO.format("min(created_at)")} as oldest
  from (select kind, mime, size, created_at from media order by created_at desc
         limit {MOST_COUNTED}) m
 group by 1, 2 order by 4 desc, 1, 2"""
# Of those that wait outside their lane for whatever reason; bits 0 to 2 are the base kind.
_WAITING = f"""
select reason, count(*) as messages, {_ISO.format("min(accepted_at)")} as oldest
  from (select p.reason, m.accepted_at
          from (select slot, seq, reason from parked_message limit {MOST_COUNTED}) p
          join message m using (slot, seq)
         where m.kind & 7 = {MEDIA}) p
 group by 1 order by 2 desc, 1 limit {MOST_REASONS}"""
_FAILED = """
select r.node, f ->> 'at' as at, f ->> 'direction' as direction, f ->> 'message' as message,
       f ->> 'type' as type, f ->> 'reason' as reason
  from (select distinct on (node) node, body from report
         where role = 'coreapp' and at > clock_timestamp() - make_interval(secs => $1)
         order by node, at desc) r
 cross join lateral jsonb_array_elements(
       case jsonb_typeof(r.body #> '{facts,media_failed}') when 'array'
            then r.body #> '{facts,media_failed}' else '[]' end) f
 order by 2 desc, 1, 4"""


class FileTotals(msgspec.Struct, frozen=True):
    """Files of one type, as image. ``direction``: uploaded, received. ``oldest`` is UTC."""

    direction: str
    type: str
    files: int
    bytes: int
    oldest: str


class WaitingMedia(msgspec.Struct, frozen=True):
    """Messages with media that wait for the same reason, the oldest accepted at a time in UTC."""

    reason: str
    messages: int
    oldest: str


class Failed(msgspec.Struct, frozen=True):
    """One of the last fetches that failed at a coreapp, by ``direction``: outgoing, inbound."""

    node: str
    at: str
    direction: str
    message: str
    type: str
    reason: str


class MediaStatus(msgspec.Struct, frozen=True):
    """``bytes`` of all media, of which ``kept`` counts up to MOST_COUNTED files. ``oldest`` is UTC,
    None without any. ``failed``: the last ones of each coreapp that reports, the newest first.
    """

    bytes: int
    oldest: str | None
    kept: list[FileTotals]
    waiting: list[WaitingMedia]
    failed: list[Failed]

    @property
    def files(self) -> int:
        return sum(each.files for each in self.kept)


async def read_media(source: Source) -> MediaStatus:
    total = await source.fetchrow(_TOTAL)
    return MediaStatus(
        bytes=total["bytes"] if total is not None else 0,
        oldest=total["oldest"] if total is not None else None,
        kept=[_kept(row) for row in await source.fetch(_TYPES)],
        waiting=[WaitingMedia(*row) for row in await source.fetch(_WAITING)],
        failed=[
            Failed(*(row[name] or "" for name in Failed.__struct_fields__))
            for row in await source.fetch(_FAILED, FRESH_SECONDS)
        ],
    )


def quota_of(environment: EnvironmentStatus) -> int:
    """In bytes, 0 for none: the least that a process has; the default while none reports."""
    [variable] = [each for each in environment.variables if each.name == QUOTA]
    found = [value.value for value in variable.values] or [variable.default]
    return min((int(each) for each in found if each.isdecimal() and int(each)), default=0)


def _kept(row: Any) -> FileTotals:
    direction = _DIRECTIONS.get(row["kind"], "other")
    return FileTotals(direction, row["type"], row["files"], row["bytes"], row["oldest"])

"""The rows of media, one for each file of the media directory. Their writes are not fenced.

Webapps read and write them through their pool, coreapps through a session of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from warouter.config import Settings
from warouter.store.bounded import Fetch, fetcher
from warouter.store.database import Session
from warouter.stored import decoded

UPLOADED, RECEIVED = 0, 1
SECONDS = 5.0
WANTED_DAYS = 7.0  # Meta keeps customers' media for so long

_MEDIA = "select id, kind, mime, size, sha256, number from media"
_FIND = f"{_MEDIA} where number = $1 and id = $2"
_FIND_HANDLE = f"{_MEDIA} where number = $1 and handle = $2"
_WANT = """
insert into media_wanted (id, handle, slot, mime, sha256, number) values ($1, $2, $3, $4, $5, $6)
on conflict (handle, number) do nothing"""
_FIND_WANTED = """
select id, handle, mime, sha256, number from media_wanted where number = $1 and id = $2"""
# Each try is later than the one before, up to ten minutes.
_TAKE_WANTED = """
update media_wanted
   set tries = tries + 1, due_at = now() + least(600, 5 * 2 ^ least(tries, 10)) * interval '1 s'
 where (handle, number) in (
    select handle, number from media_wanted where slot = any ($1::smallint[]) and due_at <= now()
     order by due_at limit $2 for update skip locked)
returning id, handle, mime, sha256, number, since < now() - $3 * interval '1 day' as over"""
_FORGET_WANTED = "delete from media_wanted where number = $1 and handle = $2 returning id"
_ADD = "select add_media($1,$2,$3,$4,$5,$6,$7,$8) as id"
_REMOVE = """
with wanted as (delete from media_wanted where number = $1 and id = $2 returning id),
     stored as (delete from media where number = $1 and id = $2 returning id)
select id from wanted union select id from stored"""
_TOTAL = "select coalesce(sum(bytes), 0)::bigint as bytes from media_total"
_NUMBERS = "select number from media_total order by number"
_NAME = "select name from number where id = $1"
_KNOWN = "select id from media where id = any ($1::uuid[])"
_EXPIRE = """
delete from media where id in (
    select id from media where number = $1 and created_at < now() - $2 * interval '1 day'
     order by created_at limit $3 for update skip locked)
returning id"""
_PROVIDERS = """
select value::text as value from setting where number = $1 and name = 'media_providers'"""


class MediaFile(msgspec.Struct, frozen=True):
    """A file of a number's media: ``size`` in bytes, ``sha256`` 32 bytes, ``mime`` the whole
    Content-Type.
    """

    id: UUID
    kind: int
    mime: str
    size: int
    sha256: bytes
    number: int


class WantedMedia(NamedTuple):
    """Media that a customer sent to ``number`` and that is still to be fetched, by the upstream's
    ``handle``; ``sha256`` is None if it was not told.
    """

    id: UUID
    handle: str
    mime: str
    sha256: bytes | None
    number: int


class MediaRows:
    """``fetch(sql, *arguments)`` returns rows, or raises errors of the driver or the session.

    Media of another number than asked for is not found.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def find(self, number: int, media_id: UUID) -> MediaFile | None:
        return _media(await self._fetch(_FIND, number, media_id))

    async def find_handle(self, number: int, handle: str) -> MediaFile | None:
        """The media that the number received under this handle of the upstream."""
        return _media(await self._fetch(_FIND_HANDLE, number, handle))

    async def want(self, wanted: WantedMedia, slot: int) -> None:
        """Keep what is still to be fetched, by the owner of this slot or for whoever asks."""
        which = (wanted.id, wanted.handle, slot, wanted.mime, wanted.sha256, wanted.number)
        await self._fetch(_WANT, *which)

    async def find_wanted(self, number: int, media_id: UUID) -> WantedMedia | None:
        rows = await self._fetch(_FIND_WANTED, number, media_id)
        return WantedMedia(*rows[0]) if rows else None

    async def take_wanted(self, slots: Sequence[int], limit: int) -> list[tuple[WantedMedia, bool]]:
        """Take the wanted media of these slots that are due; they are not due again for a while.

        True with those that the upstream has kept for as long as it does.
        """
        rows = await self._fetch(_TAKE_WANTED, list(slots), limit, WANTED_DAYS)
        return [(WantedMedia(*tuple(row)[:5]), row["over"]) for row in rows]

    async def forget_wanted(self, number: int, handle: str) -> bool:
        """Forget a media that was to be fetched; True if it was."""
        return bool(await self._fetch(_FORGET_WANTED, number, handle))

    async def add(self, media: MediaFile, handle: str | None, quota: int) -> UUID | None:
        """Add a row and return its id: the one of a known handle, None above the quota."""
        which = (media.id, media.kind, media.mime, media.size, media.sha256)
        rows = await self._fetch(_ADD, *which, handle, quota, media.number)
        found: UUID | None = rows[0]["id"]
        return found

    async def remove(self, number: int, media_id: UUID) -> bool:
        return bool(await self._fetch(_REMOVE, number, media_id))

    async def total(self) -> int:
        """Bytes of all media, of all numbers."""
        return int((await self._fetch(_TOTAL))[0]["bytes"])

    async def known(self, ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the ids that have a row, of whatever number."""
        return {row["id"] for row in await self._fetch(_KNOWN, list(ids))}

    async def numbers(self) -> list[int]:
        """The numbers that may have media."""
        return [row["number"] for row in await self._fetch(_NUMBERS)]

    async def expire(self, number: int, days: float, limit: int) -> list[UUID]:
        """Delete up to ``limit`` rows of the number that are older than this many days; returns ids
        of files to remove.
        """
        return [row["id"] for row in await self._fetch(_EXPIRE, number, days, limit)]

    async def name(self, number: int) -> str:
        """The name of a number, as it stands in paths."""
        return str((await self._fetch(_NAME, number))[0]["name"])

    async def providers(self, number: int) -> Any:
        """The stored media providers of a number, unchecked; {} if there are none."""
        rows = await self._fetch(_PROVIDERS, number)
        return decoded(rows[0]["value"]) if rows else {}


def through_pool(pool: asyncpg.Pool) -> MediaRows:
    """Media rows for a webapp, through its pool."""
    return MediaRows(fetcher(pool))


def through_session(settings: Settings, application: str) -> tuple[MediaRows, Session]:
    """Media rows for a coreapp, through a connection of its own that is made when needed."""
    session = Session(settings, application, lock_timeout="1500ms", statement_timeout="4s")

    async def fetch(sql: str, *arguments: Any) -> list[Any]:
        return await session.fetch(sql, *arguments, within=SECONDS)

    return MediaRows(fetch), session


def _media(rows: list[Any]) -> MediaFile | None:
    return MediaFile(*rows[0]) if rows else None

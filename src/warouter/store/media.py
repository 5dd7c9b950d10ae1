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

_FIND = "select id, kind, mime, size, sha256 from media where id = $1"
_FIND_HANDLE = "select id, kind, mime, size, sha256 from media where handle = $1"
_WANT = """
insert into media_wanted (id, handle, slot, mime, sha256) values ($1, $2, $3, $4, $5)
on conflict (handle) do nothing"""
_FIND_WANTED = "select id, handle, mime, sha256 from media_wanted where id = $1"
# Each try is later than the one before, up to ten minutes.
_TAKE_WANTED = """
update media_wanted
   set tries = tries + 1, due_at = now() + least(600, 5 * 2 ^ least(tries, 10)) * interval '1 s'
 where handle in (
    select handle from media_wanted where slot = any ($1::smallint[]) and due_at <= now()
     order by due_at limit $2 for update skip locked)
returning id, handle, mime, sha256, since < now() - $3 * interval '1 day' as over"""
_FORGET_WANTED = "delete from media_wanted where handle = $1 returning id"
_ADD = "select add_media($1,$2,$3,$4,$5,$6,$7) as id"
_REMOVE = """
with wanted as (delete from media_wanted where id = $1 returning id),
     stored as (delete from media where id = $1 returning id)
select id from wanted union select id from stored"""
_TOTAL = "select bytes from media_total"
_KNOWN = "select id from media where id = any ($1::uuid[])"
_EXPIRE = """
delete from media where id in (
    select id from media where created_at < now() - $1 * interval '1 day'
     order by created_at limit $2 for update skip locked)
returning id"""
_PROVIDERS = """
select value::text as value from setting where number = $1 and name = 'media_providers'"""


class MediaFile(msgspec.Struct, frozen=True):
    """A file of media: ``size`` in bytes, ``sha256`` 32 bytes, ``mime`` the whole Content-Type."""

    id: UUID
    kind: int
    mime: str
    size: int
    sha256: bytes


class WantedMedia(NamedTuple):
    """Media of a customer that is still to be fetched, by the upstream's ``handle``; ``sha256`` is
    None if it was not told.
    """

    id: UUID
    handle: str
    mime: str
    sha256: bytes | None


class MediaRows:
    """``fetch(sql, *arguments)`` returns rows, or raises errors of the driver or the session."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def find(self, media_id: UUID) -> MediaFile | None:
        return _media(await self._fetch(_FIND, media_id))

    async def find_handle(self, handle: str) -> MediaFile | None:
        """The media that was received under this handle of the upstream."""
        return _media(await self._fetch(_FIND_HANDLE, handle))

    async def want(self, wanted: WantedMedia, slot: int) -> None:
        """Keep what is still to be fetched, by the owner of this slot or for whoever asks."""
        await self._fetch(_WANT, wanted.id, wanted.handle, slot, wanted.mime, wanted.sha256)

    async def find_wanted(self, media_id: UUID) -> WantedMedia | None:
        rows = await self._fetch(_FIND_WANTED, media_id)
        return WantedMedia(*rows[0]) if rows else None

    async def take_wanted(self, slots: Sequence[int], limit: int) -> list[tuple[WantedMedia, bool]]:
        """Take the wanted media of these slots that are due; they are not due again for a while.

        True with those that the upstream has kept for as long as it does.
        """
        rows = await self._fetch(_TAKE_WANTED, list(slots), limit, WANTED_DAYS)
        return [(WantedMedia(*tuple(row)[:4]), row["over"]) for row in rows]

    async def forget_wanted(self, handle: str) -> bool:
        """Forget a media that was to be fetched; True if it was."""
        return bool(await self._fetch(_FORGET_WANTED, handle))

    async def add(self, media: MediaFile, handle: str | None, quota: int) -> UUID | None:
        """Add a row and return its id: the one of a known handle, None above the quota."""
        rows = await self._fetch(
            _ADD, media.id, media.kind, media.mime, media.size, media.sha256, handle, quota
        )
        found: UUID | None = rows[0]["id"]
        return found

    async def remove(self, media_id: UUID) -> bool:
        return bool(await self._fetch(_REMOVE, media_id))

    async def total(self) -> int:
        """Bytes of all media."""
        return int((await self._fetch(_TOTAL))[0]["bytes"])

    async def known(self, ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the ids that have a row."""
        return {row["id"] for row in await self._fetch(_KNOWN, list(ids))}

    async def expire(self, days: float, limit: int) -> list[UUID]:
        """Delete up to ``limit`` rows older than this many days; returns ids of files to remove."""
        return [row["id"] for row in await self._fetch(_EXPIRE, days, limit)]

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

"""The rows of media, one for each file of the media directory. Their writes are not fenced.

Webapps read and write them through their pool, coreapps through a session of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from warouter.config import Settings
from warouter.store.bounded import Fetch, fetcher
from warouter.store.database import Session
from warouter.stored import decoded

UPLOADED, RECEIVED = 0, 1
SECONDS = 5.0

_FIND = "select id, kind, mime, size, sha256 from media where id = $1"
_FIND_HANDLE = "select id, kind, mime, size, sha256 from media where handle = $1"
_ADD = "select add_media($1,$2,$3,$4,$5,$6,$7) as id"
_REMOVE = "delete from media where id = $1 returning id"
_TOTAL = "select bytes from media_total"
_KNOWN = "select id from media where id = any ($1::uuid[])"
_EXPIRE = """
delete from media where id in (
    select id from media where created_at < now() - $1 * interval '1 day'
     order by created_at limit $2 for update skip locked)
returning id"""
_PROVIDERS = "select value::text as value from setting where name = 'media_providers'"


class Media(msgspec.Struct, frozen=True):
    """A file of media: ``size`` in bytes, ``sha256`` 32 bytes,
    ``mime`` the Content-Type with its parameters.
    """

    id: UUID
    kind: int
    mime: str
    size: int
    sha256: bytes


class MediaRows:
    """``fetch(sql, *arguments)`` returns rows, or raises the
    errors of the driver or the session.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def find(self, media_id: UUID) -> Media | None:
        return _media(await self._fetch(_FIND, media_id))

    async def find_handle(self, handle: str) -> Media | None:
        """The media that was received under this handle of the upstream."""
        return _media(await self._fetch(_FIND_HANDLE, handle))

    async def add(self, media: Media, handle: str | None, quota: int) -> UUID | None:
        """Add a row and return its id: an existing one if the
        handle is known, None above the quota.
        """
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
        """Delete up to ``limit`` rows older than this many days;
        returns the ids of files to remove.
        """
        return [row["id"] for row in await self._fetch(_EXPIRE, days, limit)]

    async def providers(self) -> Any:
        """The stored media providers, unchecked; {} if there are none."""
        rows = await self._fetch(_PROVIDERS)
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


def _media(rows: list[Any]) -> Media | None:
    return Media(*rows[0]) if rows else None

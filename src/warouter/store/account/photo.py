"""The photo of the business's profile, a single row."""

from __future__ import annotations

from typing import NamedTuple

from warouter.store.bounded import Bounded

_GET = "select mime, data from profile_photo"
_EXISTS = "select exists (select 1 from profile_photo)"
_SET = """
insert into profile_photo (one, mime, data) values (true, $1, $2)
on conflict (one) do update
   set mime = excluded.mime, data = excluded.data, changed_at = now()"""
_DELETE = "delete from profile_photo"


class Photo(NamedTuple):
    mime: str
    data: bytes


class Photos(Bounded):
    """The one photo, or none."""

    async def get(self) -> Photo | None:
        row = await self._fetchrow(_GET)
        return Photo(*row) if row else None

    async def exists(self) -> bool:
        return bool(await self._fetchval(_EXISTS))

    async def set(self, photo: Photo) -> None:
        await self._fetch(_SET, photo.mime, photo.data)

    async def delete(self) -> None:
        await self._fetch(_DELETE)

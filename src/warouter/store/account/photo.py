"""The photos of the businesses' profiles, one a number."""

from __future__ import annotations

from typing import NamedTuple

from warouter.store.bounded import Bounded

_GET = "select mime, data from profile_photo where number = $1"
_EXISTS = "select exists (select 1 from profile_photo where number = $1)"
_SET = """
insert into profile_photo (number, mime, data) values ($1, $2, $3)
on conflict (number) do update
   set mime = excluded.mime, data = excluded.data, changed_at = now()"""
_DELETE = "delete from profile_photo where number = $1"


class Photo(NamedTuple):
    mime: str
    data: bytes


class Photos(Bounded):
    """The one photo of each number, or none."""

    async def get(self, number: int) -> Photo | None:
        row = await self._fetchrow(_GET, number)
        return Photo(*row) if row else None

    async def exists(self, number: int) -> bool:
        return bool(await self._fetchval(_EXISTS, number))

    async def set(self, number: int, photo: Photo) -> None:
        await self._fetch(_SET, number, photo.mime, photo.data)

    async def delete(self, number: int) -> None:
        await self._fetch(_DELETE, number)

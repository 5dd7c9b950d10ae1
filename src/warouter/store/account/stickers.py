"""Sticker packs of the business, and the stickers in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from warouter.store.bounded import Bounded

_PACK = "id, publisher, name, ios_app_store_link, android_app_store_link"
_PACKS = f"select {_PACK} from sticker_pack order by created_at, id"
_ONE = f"select {_PACK} from sticker_pack where id = $1"
_COUNT = "select count(*) from sticker_pack"
_ADD = """
insert into sticker_pack (publisher, name, ios_app_store_link, android_app_store_link)
values ($1, $2, $3, $4) returning id"""
# What is null stays as it is.
_CHANGE = """
update sticker_pack
   set publisher = coalesce($2, publisher), name = coalesce($3, name),
       ios_app_store_link = coalesce($4, ios_app_store_link),
       android_app_store_link = coalesce($5, android_app_store_link)
 where id = $1 returning id"""
_DELETE = "delete from sticker_pack where id = $1 returning id"
_STICKERS = "select index, image_data_id, emojis from sticker where pack = $1 order by index"
_STICKER = "select index, image_data_id, emojis from sticker where pack = $1 and index = $2"
_STICKER_COUNT = "select count(*) from sticker where pack = $1"
_NEXT = """
update sticker_pack set next_index = next_index + 1 where id = $1 returning next_index - 1"""
_ADD_STICKER = "insert into sticker (pack, index, image_data_id, emojis) values ($1, $2, $3, $4)"
_CHANGE_STICKER = """
update sticker set image_data_id = coalesce($3, image_data_id), emojis = coalesce($4, emojis)
 where pack = $1 and index = $2 returning index"""
_DELETE_STICKER = "delete from sticker where pack = $1 and index = $2 returning index"

MOST_PACKS = 1_000
MOST_STICKERS = 30
FULL = -1


class Pack(msgspec.Struct, frozen=True):
    """A sticker pack; ``id`` is a UUID as text."""

    id: str
    publisher: str
    name: str
    ios_app_store_link: str
    android_app_store_link: str


class Sticker(msgspec.Struct, frozen=True):
    """A sticker; ``image_data_id`` is the id of an uploaded media."""

    index: int
    image_data_id: str
    emojis: list[str]


class Stickers(Bounded):
    """Packs, by UUID, and their stickers, by index."""

    async def packs(self) -> list[Pack]:
        return [_pack(row) for row in await self._fetch(_PACKS)]

    async def pack(self, pack: UUID) -> Pack | None:
        row = await self._fetchrow(_ONE, pack)
        return _pack(row) if row else None

    async def add_pack(self, fields: Mapping[str, str]) -> str | None:
        """Create a pack and return its id; None if there are too many already."""
        async with self._connection() as taken:
            if await taken.fetchval(_COUNT) >= MOST_PACKS:
                return None
            return str(await taken.fetchval(_ADD, *_in_order(fields, "")))

    async def change_pack(self, pack: UUID, fields: Mapping[str, str]) -> bool:
        """Change a pack; False if there is no such pack."""
        return await self._fetchval(_CHANGE, pack, *_in_order(fields, None)) is not None

    async def delete_pack(self, pack: UUID) -> bool:
        """Delete a pack with all its stickers; False if there is no such pack."""
        return await self._fetchval(_DELETE, pack) is not None

    async def stickers(self, pack: UUID) -> list[Sticker] | None:
        """The stickers in order of their index; None if there is no such pack."""
        async with self._connection() as taken:
            rows = await taken.fetch(_STICKERS, pack)
            if not rows and await taken.fetchrow(_ONE, pack) is None:
                return None
        return [Sticker(*row) for row in rows]

    async def sticker(self, pack: UUID, index: int) -> Sticker | None:
        row = await self._fetchrow(_STICKER, pack, index)
        return Sticker(*row) if row else None

    async def add_sticker(self, pack: UUID, image: str, emojis: list[str]) -> int | None:
        """Add a sticker and return its index; None without such a pack, FULL without room in it."""
        async with self._connection() as taken, taken.transaction():
            index: int | None = await taken.fetchval(_NEXT, pack)  # locks the pack
            if index is None:
                return None
            if await taken.fetchval(_STICKER_COUNT, pack) >= MOST_STICKERS:
                return FULL
            await taken.execute(_ADD_STICKER, pack, index, image, emojis)
            return index

    async def change_sticker(
        self, pack: UUID, index: int, image: str | None, emojis: list[str] | None
    ) -> bool:
        """Change a sticker, except fields that are None; False if there is no such sticker."""
        return await self._fetchval(_CHANGE_STICKER, pack, index, image, emojis) is not None

    async def delete_sticker(self, pack: UUID, index: int) -> bool:
        """Delete a sticker; the others keep their index. False if there is no such sticker."""
        return await self._fetchval(_DELETE_STICKER, pack, index) is not None


def _pack(row: Any) -> Pack:
    return Pack(str(row["id"]), *row[1:])


def _in_order(fields: Mapping[str, str], missing: str | None) -> list[str | None]:
    return [fields.get(name, missing) for name in Pack.__struct_fields__[1:]]

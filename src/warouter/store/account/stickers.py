"""Sticker packs of each number, and the stickers in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from warouter.store.bounded import Bounded

_PACK = "id, publisher, name, ios_app_store_link, android_app_store_link"
_PACKS = f"select {_PACK} from sticker_pack where number = $1 order by created_at, id"
_ONE = f"select {_PACK} from sticker_pack where number = $1 and id = $2"
_COUNT = "select count(*) from sticker_pack where number = $1"
_ADD = """
insert into sticker_pack (number, publisher, name, ios_app_store_link, android_app_store_link)
values ($1, $2, $3, $4, $5) returning id"""
# What is null stays as it is.
_CHANGE = """
update sticker_pack
   set publisher = coalesce($3, publisher), name = coalesce($4, name),
       ios_app_store_link = coalesce($5, ios_app_store_link),
       android_app_store_link = coalesce($6, android_app_store_link)
 where number = $1 and id = $2 returning id"""
_DELETE = "delete from sticker_pack where number = $1 and id = $2 returning id"
# Of a pack of the number.
_MINE = "exists (select from sticker_pack p where p.id = pack and p.number = $1)"
_STICKERS = f"""
select index, image_data_id, emojis from sticker where pack = $2 and {_MINE} order by index"""
_STICKER = f"""
select index, image_data_id, emojis from sticker where pack = $2 and index = $3 and {_MINE}"""
_STICKER_COUNT = "select count(*) from sticker where pack = $1"
_NEXT = """
update sticker_pack set next_index = next_index + 1
 where number = $1 and id = $2 returning next_index - 1"""
_ADD_STICKER = "insert into sticker (pack, index, image_data_id, emojis) values ($1, $2, $3, $4)"
_CHANGE_STICKER = f"""
update sticker set image_data_id = coalesce($4, image_data_id), emojis = coalesce($5, emojis)
 where pack = $2 and index = $3 and {_MINE} returning index"""
_DELETE_STICKER = f"""
delete from sticker where pack = $2 and index = $3 and {_MINE} returning index"""

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
    """Packs of a number, by UUID, and their stickers, by index."""

    async def packs(self, number: int) -> list[Pack]:
        return [_pack(row) for row in await self._fetch(_PACKS, number)]

    async def pack(self, number: int, pack: UUID) -> Pack | None:
        row = await self._fetchrow(_ONE, number, pack)
        return _pack(row) if row else None

    async def add_pack(self, number: int, fields: Mapping[str, str]) -> str | None:
        """Create a pack and return its id; None if there are too many already."""
        async with self._connection() as taken:
            if await taken.fetchval(_COUNT, number) >= MOST_PACKS:
                return None
            return str(await taken.fetchval(_ADD, number, *_in_order(fields, "")))

    async def change_pack(self, number: int, pack: UUID, fields: Mapping[str, str]) -> bool:
        """Change a pack; False if there is no such pack."""
        changed = await self._fetchval(_CHANGE, number, pack, *_in_order(fields, None))
        return changed is not None

    async def delete_pack(self, number: int, pack: UUID) -> bool:
        """Delete a pack with all its stickers; False if there is no such pack."""
        return await self._fetchval(_DELETE, number, pack) is not None

    async def stickers(self, number: int, pack: UUID) -> list[Sticker] | None:
        """The stickers in order of their index; None if there is no such pack."""
        async with self._connection() as taken:
            rows = await taken.fetch(_STICKERS, number, pack)
            if not rows and await taken.fetchrow(_ONE, number, pack) is None:
                return None
        return [Sticker(*row) for row in rows]

    async def sticker(self, number: int, pack: UUID, index: int) -> Sticker | None:
        row = await self._fetchrow(_STICKER, number, pack, index)
        return Sticker(*row) if row else None

    async def add_sticker(
        self, number: int, pack: UUID, image: str, emojis: list[str]
    ) -> int | None:
        """Add a sticker and return its index; None without such a pack, FULL without room in it."""
        async with self._connection() as taken, taken.transaction():
            index: int | None = await taken.fetchval(_NEXT, number, pack)  # locks the pack
            if index is None:
                return None
            if await taken.fetchval(_STICKER_COUNT, pack) >= MOST_STICKERS:
                return FULL
            await taken.execute(_ADD_STICKER, pack, index, image, emojis)
            return index

    async def change_sticker(
        self, number: int, pack: UUID, index: int, image: str | None, emojis: list[str] | None
    ) -> bool:
        """Change a sticker, except fields that are None; False if there is no such sticker."""
        changed = await self._fetchval(_CHANGE_STICKER, number, pack, index, image, emojis)
        return changed is not None

    async def delete_sticker(self, number: int, pack: UUID, index: int) -> bool:
        """Delete a sticker; the others keep their index. False if there is no such sticker."""
        return await self._fetchval(_DELETE_STICKER, number, pack, index) is not None


def _pack(row: Any) -> Pack:
    return Pack(str(row["id"]), *row[1:])


def _in_order(fields: Mapping[str, str], missing: str | None) -> list[str | None]:
    return [fields.get(name, missing) for name in Pack.__struct_fields__[1:]]

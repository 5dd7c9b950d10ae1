"""/v1/stickerpacks: the sticker packs of a number. WhatsApp's own list of packs is empty."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.messages.rules import filled, filled_list, short
from warouter.api.route import Access, Route
from warouter.errors import NotFound, ParameterInvalid
from warouter.http.envelope import success
from warouter.http.request import path_name, read_json
from warouter.store.account.stickers import FULL, MOST_PACKS, MOST_STICKERS, Pack, Sticker

NAME_CHARS, LINK_CHARS, IMAGE_ID_CHARS = 128, 2048, 256
MOST_EMOJIS, EMOJI_CHARS = 3, 32
_MOST_INDEX = 2**31 - 1


class PackWish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sticker pack: ``publisher`` and ``name`` are required
    for a new one; at most 128 characters each.
    """

    publisher: str | None = None
    name: str | None = None
    ios_app_store_link: str | None = None
    android_app_store_link: str | None = None


class StickerWish(msgspec.Struct, frozen=True, kw_only=True):
    """A sticker: ``image_data_id`` is the id of an uploaded media, with one to three ``emojis``."""

    image_data_id: str | None = None
    emojis: list[str] | None = None


class PackId(msgspec.Struct, frozen=True):
    id: str


class StickerIndex(msgspec.Struct, frozen=True):
    index: int


_PACK = msgspec.json.Decoder(PackWish)
_STICKER = msgspec.json.Decoder(StickerWish)


# ------------------------------------------------------------ packs


async def packs(context: Context, request: web.Request, caller: Caller) -> web.Response:
    own = not _of_whatsapp(request)
    return success({"stickerpacks": await context.stickers.packs(caller.number) if own else []})


async def pack(context: Context, request: web.Request, caller: Caller) -> web.Response:
    found = await context.stickers.pack(caller.number, _pack_id(request))
    if found is None:
        raise _no_pack()
    return success({"stickerpacks": [found]})


async def add_pack(context: Context, request: web.Request, caller: Caller) -> web.Response:
    if _of_whatsapp(request):
        raise ParameterInvalid("sticker packs cannot be created in the namespace whatsapp")
    wish = await read_json(request, context.config.json_limit, _PACK)
    filled(wish.publisher, "publisher")
    filled(wish.name, "name")
    made = await context.stickers.add_pack(caller.number, _checked(wish))
    if made is None:
        raise ParameterInvalid(f"there are {MOST_PACKS} packs already, no more are allowed")
    return success({"stickerpacks": [{"id": made}]}, 201)


async def change_pack(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Change the given fields."""
    pack_id = _pack_id(request)
    wish = await read_json(request, context.config.json_limit, _PACK)
    if not await context.stickers.change_pack(caller.number, pack_id, _checked(wish)):
        raise _no_pack()
    return success({"stickerpacks": [{"id": str(pack_id)}]})


async def delete_pack(context: Context, request: web.Request, caller: Caller) -> web.Response:
    if not await context.stickers.delete_pack(caller.number, _pack_id(request)):
        raise _no_pack()
    return success({})


# ------------------------------------------------------------ stickers


async def stickers(context: Context, request: web.Request, caller: Caller) -> web.Response:
    found = await context.stickers.stickers(caller.number, _pack_id(request))
    if found is None:
        raise _no_pack()
    return success({"stickers": found})


async def sticker(context: Context, request: web.Request, caller: Caller) -> web.Response:
    found = await context.stickers.sticker(caller.number, _pack_id(request), _index(request))
    if found is None:
        raise _no_sticker()
    return success({"stickers": [found]})


async def add_sticker(context: Context, request: web.Request, caller: Caller) -> web.Response:
    pack_id = _pack_id(request)
    wish = await read_json(request, context.config.json_limit, _STICKER)
    image = filled(wish.image_data_id, "image_data_id")
    emojis = list(filled_list(wish.emojis, "emojis"))
    _check_sticker(wish)
    index = await context.stickers.add_sticker(caller.number, pack_id, image, emojis)
    if index is None:
        raise _no_pack()
    if index == FULL:
        raise ParameterInvalid(f"the pack has {MOST_STICKERS} stickers, no more are allowed")
    return success({"stickers": [{"index": index}]}, 201)


async def change_sticker(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Change the given fields."""
    pack_id, index = _pack_id(request), _index(request)
    wish = await read_json(request, context.config.json_limit, _STICKER)
    _check_sticker(wish)
    changed = await context.stickers.change_sticker(
        caller.number, pack_id, index, wish.image_data_id, wish.emojis
    )
    if not changed:
        raise _no_sticker()
    return success({"stickers": [{"index": index}]})


async def delete_sticker(context: Context, request: web.Request, caller: Caller) -> web.Response:
    if not await context.stickers.delete_sticker(caller.number, _pack_id(request), _index(request)):
        raise _no_sticker()
    return success({})


# ------------------------------------------------------------ rules


def _of_whatsapp(request: web.Request) -> bool:
    namespace = request.query.get("namespace", "")
    if namespace not in ("", "whatsapp"):
        raise ParameterInvalid("namespace must be whatsapp or absent")
    return bool(namespace)


def _pack_id(request: web.Request) -> UUID:
    name = path_name(request, "pack")
    try:
        number = UUID(name)
    except ValueError:
        raise _no_pack() from None
    if _of_whatsapp(request) or str(number) != name.lower():
        raise _no_pack()
    return number


def _index(request: web.Request) -> int:
    text = path_name(request, "index")
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > _MOST_INDEX:
        raise _no_sticker()
    return int(text)


def _checked(wish: PackWish) -> dict[str, Any]:
    """The given fields, checked."""
    for path in ("publisher", "name"):
        if getattr(wish, path) is not None:
            filled(getattr(wish, path), path, NAME_CHARS)
    for path in ("ios_app_store_link", "android_app_store_link"):
        link = getattr(wish, path)
        short(link, path, LINK_CHARS)
        if link and not link.startswith(("https://", "http://")):
            raise ParameterInvalid(f"{path} must be a URL that starts with http:// or https://")
    return {k: v for k, v in msgspec.to_builtins(wish).items() if v is not None}


def _check_sticker(wish: StickerWish) -> None:
    if wish.image_data_id is not None:
        filled(wish.image_data_id, "image_data_id", IMAGE_ID_CHARS)
    if wish.emojis is not None:
        filled_list(wish.emojis, "emojis", MOST_EMOJIS)
        for n, emoji in enumerate(wish.emojis):
            filled(emoji, f"emojis[{n}]", EMOJI_CHARS)


def _no_pack() -> NotFound:
    return NotFound("there is no such sticker pack")


def _no_sticker() -> NotFound:
    return NotFound("there is no such sticker")


_PACKS = "/v1/stickerpacks"
_ONE = f"{_PACKS}/{{pack}}"
_STICKERS, _STICKER_PATH = f"{_ONE}/stickers", f"{_ONE}/stickers/{{index}}"
_NAMESPACE = {"namespace": "whatsapp: WhatsApp's own packs, always an empty list"}
_NOT_THERE = (ParameterInvalid, NotFound)
_PACK_ID = within("stickerpacks", list[PackId], "PackIds")
_INDEX = within("stickers", list[StickerIndex], "StickerIndices")

ROUTES = (
    Route(
        "GET",
        _PACKS,
        Access.USER,
        Scope.READ,
        packs,
        answer=within("stickerpacks", list[Pack], "Packs"),
        errors=(ParameterInvalid,),
        query=_NAMESPACE,
    ),
    Route(
        "POST",
        _PACKS,
        Access.USER,
        Scope.MEDIA,
        add_pack,
        body=PackWish,
        answer=_PACK_ID,
        status=(201,),
    ),
    Route(
        "GET",
        _ONE,
        Access.USER,
        Scope.READ,
        pack,
        answer=within("stickerpacks", list[Pack], "OnePack"),
        errors=_NOT_THERE,
        query=_NAMESPACE,
    ),
    Route(
        "PATCH",
        _ONE,
        Access.USER,
        Scope.MEDIA,
        change_pack,
        body=PackWish,
        answer=_PACK_ID,
        errors=_NOT_THERE,
    ),
    Route("DELETE", _ONE, Access.USER, Scope.MEDIA, delete_pack, errors=_NOT_THERE),
    Route(
        "GET",
        _STICKERS,
        Access.USER,
        Scope.READ,
        stickers,
        answer=within("stickers", list[Sticker], "Stickers"),
        errors=_NOT_THERE,
        query=_NAMESPACE,
    ),
    Route(
        "POST",
        _STICKERS,
        Access.USER,
        Scope.MEDIA,
        add_sticker,
        body=StickerWish,
        answer=_INDEX,
        status=(201,),
        errors=_NOT_THERE,
    ),
    Route(
        "GET",
        _STICKER_PATH,
        Access.USER,
        Scope.READ,
        sticker,
        answer=within("stickers", list[Sticker], "OneSticker"),
        errors=_NOT_THERE,
        query=_NAMESPACE,
    ),
    Route(
        "PATCH",
        _STICKER_PATH,
        Access.USER,
        Scope.MEDIA,
        change_sticker,
        body=StickerWish,
        answer=_INDEX,
        errors=_NOT_THERE,
    ),
    Route("DELETE", _STICKER_PATH, Access.USER, Scope.MEDIA, delete_sticker, errors=_NOT_THERE),
)

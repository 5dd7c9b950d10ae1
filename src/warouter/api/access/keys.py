"""/v1/keys: credentials of programs, which an administrator, or a key with ``admin``, makes.

No key makes one that may do more than itself, from elsewhere, or for longer. There is no PATCH:
what a key may do never grows.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from warouter.access.key import (
    about,
    check_end,
    check_name,
    networks_of,
    new_key,
    starts_of,
    within_networks,
)
from warouter.access.scopes import NAMES, Scope, includes, joined, names_of, scopes_of
from warouter.access.token import hash_of
from warouter.api.access.audit import subject
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.route import Access, Route
from warouter.errors import Forbidden, NotFound, TooManyKeys
from warouter.http.envelope import success
from warouter.http.request import path_name, read_json
from warouter.store.account.keys import MOST_KEYS, NewKey, StoredKey

log = logging.getLogger(__name__)

# A text to the decoder, so that the refusal can name the place and the known ones.
ScopeName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(NAMES)})]


class KeyWish(msgspec.Struct, frozen=True):
    """A key to be made. Without `expires` it has no end, without `networks` (CIDR) it may be used
    from anywhere.
    """

    name: str
    scopes: list[ScopeName]
    expires: datetime | None = None
    networks: list[str] = []


class KeyShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key without its text; `starts` are its first characters, times are in UTC."""

    id: int
    name: str
    starts: str
    scopes: list[ScopeName]
    created: str
    created_by: str
    networks: list[str] = []
    expires: str | UnsetType = UNSET
    used: str | UnsetType = UNSET


class KeyMade(KeyShown, frozen=True, kw_only=True, omit_defaults=True):
    """A new key. `key` is shown this once."""

    key: str


_WISH = msgspec.json.Decoder(KeyWish)


async def make(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Make a key of the caller's number."""
    wish = await read_json(request, context.config.json_limit, _WISH)
    key = new_key()
    new = checked(wish, key, caller, datetime.now(UTC))
    stored = await context.keys.add(caller.number, new, caller.author)
    if stored is None:
        raise TooManyKeys(f"the number has {MOST_KEYS} keys: remove those that nobody needs")
    subject(request, _about(stored))
    log.info("key added", extra={"key": stored.id, "by": caller.username})
    return success({"keys": [KeyMade(**_fields(stored), key=key)]}, 201)


async def show_all(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    found = await context.keys.listed(caller.number)
    return success({"keys": [shown(key) for key in found]})


async def show(context: Context, request: web.Request, caller: Caller) -> web.Response:
    found = await context.keys.one(caller.number, _id_of(request))
    if found is None:
        raise _unknown()
    return success({"keys": [shown(found)]})


async def end(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """End a key, on all webapps within a second."""
    ended = await context.keys.end(caller.number, _id_of(request), caller.author)
    if ended is None:
        raise _unknown()
    subject(request, _about(ended))
    await context.tokens.refresh()
    log.info("key removed", extra={"key": ended.id, "by": caller.username})
    return success({"keys": [shown(ended)]})


# ---------------------------------------------------------------- values


def checked(wish: KeyWish, key: str, caller: Caller, now: datetime) -> NewKey:
    """The key as it is stored; ParameterInvalid (400) or Forbidden (403) if it must not be."""
    check_name(wish.name)
    scopes = scopes_of(wish.scopes)
    networks = networks_of(wish.networks)
    check_end(wish.expires, now)
    for scope in scopes:
        if not includes(caller.scopes, scope):
            raise Forbidden(f'the caller has no scope "{names_of(scope)[0]}" to give')
    grant = caller.grant
    if grant is not None and not within_networks(networks, grant.networks):
        raise Forbidden("networks must lie in those of the key that makes this one")
    last = grant.expires if grant is not None else None
    if last is not None and (wish.expires is None or wish.expires > last):
        raise Forbidden("expires must not be after the end of the key that makes this one")
    return NewKey(
        hash_of(key),
        wish.name,
        starts_of(key),
        int(joined(scopes)),
        caller.actor,
        networks,
        wish.expires,
    )


def shown(key: StoredKey) -> KeyShown:
    return KeyShown(**_fields(key))


def _about(key: StoredKey) -> str:
    return about(key.id, key.name, Scope(key.scopes))


def _fields(key: StoredKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "starts": key.starts,
        "scopes": names_of(Scope(key.scopes)),
        "created": key.created,
        "created_by": key.created_by,
        "networks": key.networks,
        "expires": key.expires or UNSET,
        "used": key.used or UNSET,
    }


def _id_of(request: web.Request) -> int:
    text = path_name(request, "key")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _unknown()
    return int(text)


def _unknown() -> NotFound:
    return NotFound("there is no such key")


_SHOWN = within("keys", list[KeyShown], "Keys")
_ONE = "/v1/keys/{key}"

ROUTES = (
    Route(
        "POST",
        "/v1/keys",
        Access.ADMIN,
        Scope.ADMIN,
        make,
        body=KeyWish,
        answer=within("keys", list[KeyMade], "MadeKeys"),
        status=(201,),
        errors=(TooManyKeys,),
        action="add key",
    ),
    Route("GET", "/v1/keys", Access.ADMIN, Scope.ADMIN, show_all, answer=_SHOWN),
    Route("GET", _ONE, Access.ADMIN, Scope.ADMIN, show, answer=_SHOWN, errors=(NotFound,)),
    Route(
        "DELETE",
        _ONE,
        Access.ADMIN,
        Scope.ADMIN,
        end,
        answer=_SHOWN,
        errors=(NotFound,),
        action="remove key",
    ),
)

"""settings/application/media/providers: whom to show which credentials when a link is fetched."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from aiohttp import web

from warouter.api.answers import within
from warouter.api.context import Context
from warouter.api.envelope import success
from warouter.api.request import path_name, read_json
from warouter.api.route import Access, Route
from warouter.api.rules import filled, filled_list
from warouter.api.tokens import Caller
from warouter.app_settings import MEDIA_PROVIDERS
from warouter.errors import NotFound, ParameterInvalid, ParameterMissing

log = logging.getLogger(__name__)

MOST = 32
NAME_CHARS, BEARER_CHARS, USERNAME_CHARS, PASSWORD_CHARS = 64, 4096, 256, 256
# Shown instead of a secret. Sent back under the same name it stands for the one that is stored.
MASK = "********"


class Basic(msgspec.Struct, frozen=True):
    username: str
    password: str


class Config(msgspec.Struct, frozen=True, omit_defaults=True):
    """Exactly one of the two."""

    bearer: str | None = None
    basic: Basic | None = None


class MediaProvider(msgspec.Struct, frozen=True):
    """``name`` is what a message says in ``provider.name``: 1 to 64 characters, no slash."""

    name: str
    config: Config
    type: Literal["www"] = "www"


class StoredProviders(msgspec.Struct, frozen=True):
    providers: list[MediaProvider] = []


_PROVIDERS = msgspec.json.Decoder(list[MediaProvider])


async def show(context: Context, _request: web.Request, _caller: Caller) -> web.Response:
    """All providers, secrets masked."""
    providers = [_masked(p) for p in _stored(await context.accounts.setting(MEDIA_PROVIDERS))]
    return success({"settings": {"application": {"media": {"providers": providers}}}})


async def add(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Adds those that are named for the first time, replaces the others."""
    wish = await read_json(request, context.config.json_limit, _PROVIDERS)
    filled_list(wish, "the body", MOST)
    for n, provider in enumerate(wish):
        _check(provider, f"[{n}]")

    def changed(stored: Mapping[str, Any]) -> dict[str, Any]:
        by_name = {provider.name: provider for provider in _stored(stored)}
        for provider in wish:
            by_name[provider.name] = _unmasked(provider, by_name.get(provider.name))
        if len(by_name) > MOST:
            raise ParameterInvalid(f"there would be {len(by_name)} providers, {MOST} are allowed")
        return {"providers": msgspec.to_builtins(list(by_name.values()))}

    await context.accounts.change_setting(MEDIA_PROVIDERS, changed)
    log.info("media providers changed", extra={"by": caller.username})
    return success({})


async def remove(context: Context, request: web.Request, caller: Caller) -> web.Response:
    name = path_name(request, "name")

    def changed(stored: Mapping[str, Any]) -> dict[str, Any]:
        present = _stored(stored)
        left = [provider for provider in present if provider.name != name]
        if len(left) == len(present):
            raise NotFound("there is no media provider of this name")
        return {"providers": msgspec.to_builtins(left)}

    await context.accounts.change_setting(MEDIA_PROVIDERS, changed)
    log.info("media provider deleted", extra={"by": caller.username})
    return success({})


def _check(provider: MediaProvider, path: str) -> None:
    filled(provider.name, f"{path}.name", NAME_CHARS)
    if not provider.name.isprintable() or "/" in provider.name:
        raise ParameterInvalid(f"{path}.name has a slash or control characters")
    bearer, basic = provider.config.bearer, provider.config.basic
    if (bearer is None) == (basic is None):
        raise ParameterInvalid(f"{path}.config must have either bearer or basic")
    if bearer is not None:
        _check_secret(bearer, f"{path}.config.bearer", BEARER_CHARS)
        # It is sent in a header as it is.
        if not bearer.isascii() or " " in bearer:
            raise ParameterInvalid(f"{path}.config.bearer must be ASCII without spaces")
    if basic is not None:
        _check_secret(basic.username, f"{path}.config.basic.username", USERNAME_CHARS)
        _check_secret(basic.password, f"{path}.config.basic.password", PASSWORD_CHARS)
        if ":" in basic.username:
            raise ParameterInvalid(f"{path}.config.basic.username must not have a colon")


def _check_secret(text: str, path: str, most: int) -> None:
    filled(text, path, most)
    if not text.isprintable():
        raise ParameterInvalid(f"{path} has control characters")


def _stored(setting: Mapping[str, Any]) -> list[MediaProvider]:
    return msgspec.convert(setting, StoredProviders).providers


def _masked(provider: MediaProvider) -> MediaProvider:
    basic = provider.config.basic
    shown = Config(bearer=MASK) if basic is None else Config(basic=Basic(basic.username, MASK))
    return msgspec.structs.replace(provider, config=shown)


def _unmasked(provider: MediaProvider, known: MediaProvider | None) -> MediaProvider:
    """What was read from GET may be sent back: the mask stands for the secret that is known."""
    bearer, basic = provider.config.bearer, provider.config.basic
    secret = bearer if basic is None else basic.password
    if secret != MASK or known is None:
        return provider
    if basic is None and known.config.bearer is not None:
        return known
    if basic is not None and known.config.basic is not None:
        kept = Basic(basic.username, known.config.basic.password)
        return msgspec.structs.replace(provider, config=Config(basic=kept))
    return provider


_PATH = "/v1/settings/application/media/providers"

ROUTES = (
    Route(
        "GET",
        _PATH,
        Access.ADMIN,
        show,
        "Media providers, their secrets masked",
        answer=within("settings.application.media.providers", list[MediaProvider], "Providers"),
    ),
    Route(
        "POST",
        _PATH,
        Access.ADMIN,
        add,
        "Add or replace media providers, by name",
        body=list[MediaProvider],
        errors=(ParameterInvalid, ParameterMissing),
    ),
    Route(
        "DELETE",
        f"{_PATH}/{{name}}",
        Access.ADMIN,
        remove,
        "Delete a media provider",
        errors=(NotFound,),
    ),
)

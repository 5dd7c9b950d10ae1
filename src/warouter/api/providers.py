"""settings/application/media/providers: credentials for fetching the links of messages."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.audit import subject
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.messages.rules import filled, filled_list, short
from warouter.api.route import Access, Route
from warouter.app_settings import MEDIA_PROVIDERS
from warouter.errors import NotFound, ParameterInvalid
from warouter.http.envelope import success
from warouter.http.request import path_name, read_json
from warouter.media.providers import checked_origin, listed

log = logging.getLogger(__name__)

MOST, MOST_ORIGINS = 32, 32
ORIGIN_CHARS = 300
NAME_CHARS, BEARER_CHARS, USERNAME_CHARS, PASSWORD_CHARS = 64, 4096, 256, 256
# Shown instead of a secret. Sent back under the same name it stands for the one that is stored.
MASK = "********"


class Basic(msgspec.Struct, frozen=True):
    username: str
    password: str


class Config(msgspec.Struct, frozen=True, omit_defaults=True):
    """Credentials: exactly one of ``bearer`` and ``basic``."""

    bearer: str | None = None
    basic: Basic | None = None


class MediaProvider(msgspec.Struct, frozen=True):
    """Credentials under the ``name`` that messages give in
    ``provider.name``: 1 to 64 characters, no slash.

    ``origins`` (https://host or https://host:port) are where the credentials may go. A POST without
    them leaves those that are there; with none of them the credentials go nowhere.
    """

    name: str
    config: Config
    type: Literal["www"] = "www"
    origins: list[str] | None = None


class StoredProviders(msgspec.Struct, frozen=True):
    providers: list[MediaProvider] = []


_PROVIDERS = msgspec.json.Decoder(list[MediaProvider])


async def show(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """All providers with masked secrets, and a warning for each whose credentials are not sent."""
    stored = await context.accounts.setting(caller.number, MEDIA_PROVIDERS)
    providers = [_masked(provider) for provider in _stored(stored)]
    shown = {"settings": {"application": {"media": {"providers": providers}}}}
    return success(shown, warnings=_warnings(providers))


async def add(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Add providers, or replace those of the same name."""
    wish = await read_json(request, context.config.json_limit, _PROVIDERS)
    filled_list(wish, "the body", MOST)
    checked = [_checked(provider, f"[{n}]") for n, provider in enumerate(wish)]
    subject(request, ", ".join(provider.name for provider in checked))
    present: list[MediaProvider] = []

    def changed(stored: Mapping[str, Any]) -> dict[str, Any]:
        by_name = {provider.name: provider for provider in _stored(stored)}
        for provider in checked:
            by_name[provider.name] = _merged(provider, by_name.get(provider.name))
        if len(by_name) > MOST:
            raise ParameterInvalid(
                f"there would be {len(by_name)} providers, at most {MOST} are allowed"
            )
        present[:] = by_name.values()
        return {"providers": msgspec.to_builtins(present)}

    await context.accounts.change_setting(caller.number, MEDIA_PROVIDERS, changed)
    log.info("media providers changed", extra=caller.logged)
    return success({}, warnings=_warnings(present))


async def remove(context: Context, request: web.Request, caller: Caller) -> web.Response:
    name = path_name(request, "name")
    subject(request, name)

    def changed(stored: Mapping[str, Any]) -> dict[str, Any]:
        present = _stored(stored)
        left = [provider for provider in present if provider.name != name]
        if len(left) == len(present):
            raise NotFound("there is no media provider of this name")
        return {"providers": msgspec.to_builtins(left)}

    await context.accounts.change_setting(caller.number, MEDIA_PROVIDERS, changed)
    log.info("media provider deleted", extra=caller.logged)
    return success({})


def check_providers(stored: StoredProviders) -> None:
    """Raises ParameterInvalid or ParameterMissing for providers that a POST would refuse."""
    if len(stored.providers) > MOST:
        raise ParameterInvalid(
            f"there are {len(stored.providers)} providers, at most {MOST} are allowed"
        )
    for n, provider in enumerate(stored.providers):
        _checked(provider, f"providers[{n}]")


def _checked(provider: MediaProvider, path: str) -> MediaProvider:
    """The provider with normalised origins; raises ParameterInvalid or ParameterMissing."""
    filled(provider.name, f"{path}.name", NAME_CHARS)
    if not provider.name.isprintable() or "/" in provider.name:
        raise ParameterInvalid(f"{path}.name must not contain slashes or control characters")
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
    if provider.origins is None:
        return provider
    return msgspec.structs.replace(provider, origins=_origins(provider.origins, f"{path}.origins"))


def _origins(given: list[str], path: str) -> list[str]:
    if len(given) > MOST_ORIGINS:
        raise ParameterInvalid(f"{path} has {len(given)} elements, at most {MOST_ORIGINS}")
    origins = []
    for n, text in enumerate(given):
        short(text, f"{path}[{n}]", ORIGIN_CHARS)
        try:
            origins.append(checked_origin(text))
        except ValueError as error:
            raise ParameterInvalid(f"{path}[{n}] {error}") from None
    return list(dict.fromkeys(origins))


def _check_secret(text: str, path: str, most: int) -> None:
    filled(text, path, most)
    if not text.isprintable():
        raise ParameterInvalid(f"{path} must not contain control characters")


def _stored(setting: Mapping[str, Any]) -> list[MediaProvider]:
    """The stored providers that are valid; others are hidden, and dropped by the next change."""
    found = []
    with suppress(ValueError):
        for one in listed(setting):
            with suppress(msgspec.ValidationError):
                found.append(msgspec.convert(one, MediaProvider))
    return found


def _masked(provider: MediaProvider) -> MediaProvider:
    basic = provider.config.basic
    shown = Config(bearer=MASK) if basic is None else Config(basic=Basic(basic.username, MASK))
    return msgspec.structs.replace(provider, config=shown, origins=provider.origins or [])


def _warnings(providers: Sequence[MediaProvider]) -> list[str]:
    return [
        f"media provider {provider.name} has no origins: its credentials are sent nowhere"
        for provider in providers
        if not provider.origins
    ]


def _merged(provider: MediaProvider, known: MediaProvider | None) -> MediaProvider:
    """A POSTed provider, completed from the stored one of the same name."""
    origins = provider.origins
    if origins is None:  # integrations of old store their providers at each start
        origins = (known.origins if known is not None else None) or []
    return msgspec.structs.replace(_unmasked(provider, known), origins=origins)


def _unmasked(provider: MediaProvider, known: MediaProvider | None) -> MediaProvider:
    """The secret, or the stored one if the client sent back the mask that GET shows."""
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
        Scope.SETTINGS,
        show,
        answer=within("settings.application.media.providers", list[MediaProvider], "Providers"),
    ),
    Route("POST", _PATH, Access.ADMIN, Scope.SETTINGS, add, body=list[MediaProvider]),
    Route("DELETE", f"{_PATH}/{{name}}", Access.ADMIN, Scope.SETTINGS, remove, errors=(NotFound,)),
)

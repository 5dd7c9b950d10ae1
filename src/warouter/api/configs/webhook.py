"""GET, POST, DELETE /v1/configs/webhook: the URL of callbacks, and the header fields they carry."""

from __future__ import annotations

import logging

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.audit import subject
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.messages.rules import filled
from warouter.api.route import Access, Route
from warouter.api.settings import check_webhook_url
from warouter.app_settings import APPLICATION, ApplicationSettings, effective
from warouter.errors import ParameterInvalid
from warouter.http.envelope import success
from warouter.http.request import read_json
from warouter.registered_webhook import (
    RegisteredWebhook,
    check_headers,
    registered,
    with_registered,
    without_webhook,
)
from warouter.stored import usable

log = logging.getLogger(__name__)

MASK = "***"


class WebhookConfig(msgspec.Struct, frozen=True):
    """The webhook: at most 10 `headers` of at most 1 KiB each go with every callback."""

    url: str
    headers: dict[str, str] | None = None


class WebhookConfigShown(msgspec.Struct, frozen=True):
    """The webhook; GET has `***` for the value of each header."""

    url: str
    headers: dict[str, str]


_WISH = msgspec.json.Decoder(WebhookConfig)
_SUBJECT = "webhooks.url, webhooks.headers"  # names alone, as in the row of a PATCH


async def show(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """The URL in force, and the names of the headers that go there."""
    stored = await context.accounts.setting(caller.number, APPLICATION)
    url = effective(usable(stored, ApplicationSettings, {}).fields).webhooks.url
    try:
        found = registered(stored)
    except ValueError:  # nobody sends what cannot be sent
        found = None
    names = found.headers if found is not None and found.url == url else ()
    return success({"url": url, "headers": dict.fromkeys(names, MASK)})


async def register(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Send callbacks to this URL with these headers, and with no others; one element each."""
    wish = await read_json(request, context.config.json_limit, _WISH)
    filled(wish.url, "url")
    check_webhook_url(context.config, wish.url, "url")
    headers = wish.headers or {}
    try:
        check_headers(headers)
    except ValueError as error:
        raise ParameterInvalid(str(error)) from None
    webhook = RegisteredWebhook(wish.url, headers)
    subject(request, _SUBJECT)
    await context.accounts.change_setting(
        caller.number, APPLICATION, lambda stored: with_registered(stored, webhook)
    )
    log.info("webhook registered", extra={**caller.logged, "headers": len(headers)})
    return success({"url": wish.url, "headers": headers})


async def remove(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Empty the URL and the headers: callbacks wait then."""
    subject(request, _SUBJECT)
    await context.accounts.change_setting(caller.number, APPLICATION, without_webhook)
    log.info("webhook deleted", extra=caller.logged)
    return success({"url": "", "headers": {}})


_PATH = "/v1/configs/webhook"

ROUTES = (
    Route("GET", _PATH, Access.ADMIN, Scope.SETTINGS, show, answer=WebhookConfigShown),
    Route(
        "POST",
        _PATH,
        Access.ADMIN,
        Scope.SETTINGS,
        register,
        body=WebhookConfig,
        answer=WebhookConfigShown,
    ),
    Route("DELETE", _PATH, Access.ADMIN, Scope.SETTINGS, remove, answer=WebhookConfigShown),
)

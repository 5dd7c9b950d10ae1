"""GET, PATCH, DELETE /v1/settings/application."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.audit import named, subject
from warouter.api.access.caller import Caller
from warouter.api.context import ApiConfig, Context
from warouter.api.description.replies import ApplicationShown
from warouter.api.description.wrapped import within
from warouter.api.route import Access, Route
from warouter.app_settings import (
    APPLICATION,
    ApplicationSettings,
    dated,
    effective,
    merge,
    shown,
    webhook_url_problem,
)
from warouter.errors import ParameterInvalid
from warouter.http.decode import explained
from warouter.http.envelope import success
from warouter.http.request import read_json
from warouter.stored import usable

log = logging.getLogger(__name__)

CHECKED = "show_security_notifications"
_PATCH = msgspec.json.Decoder(dict[str, Any])


async def show(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """All settings, with the own number as `wa_id` once one is registered."""
    stored = await context.accounts.setting(caller.number, APPLICATION)
    fields = shown(effective(usable(stored, ApplicationSettings, {}).fields))
    account = await context.accounts.account(caller.number)
    if account is not None:
        fields["wa_id"] = account.cc + account.phone_number
    return success({"settings": {"application": fields}})


async def patch(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Change the given fields, and no others; unknown fields are accepted."""
    wish = await read_json(request, context.config.json_limit, _PATCH)

    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

    def changed(stored: Mapping[str, Any]) -> dict[str, Any]:
        return dated(stored, merge(stored, wish), now)

    try:
        # Before the transaction: nothing that is refused shall lock the row.
        given = changed({})
        check_webhook(context.config, given)
        subject(request, ", ".join(named(given)))
        if CHECKED in given:
            await set_upstream(context, caller.number, bool(given[CHECKED]))
        await context.accounts.change_setting(caller.number, APPLICATION, changed)
    except msgspec.ValidationError as error:
        raise explained(error) from None
    log.info("settings changed", extra=caller.logged)
    return success({})


async def reset(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """Reset all settings to their defaults."""
    default = ApplicationSettings().show_security_notifications
    await set_upstream(context, caller.number, default)
    await context.accounts.delete_setting(caller.number, APPLICATION)
    log.info("settings reset", extra=caller.logged)
    return success({})


async def set_upstream(context: Context, number: int, shows: bool) -> None:
    """Set at the upstream what the number's ``show_security_notifications`` needs; an ApiError
    if that was not done, and then nothing is to be stored.
    """
    check = context.identity_check(number)
    if check is not None:
        await check.set(shows)


def check_webhook(config: ApiConfig, given: Mapping[str, Any]) -> None:
    """Raises ParameterInvalid if callbacks may not be sent to the webhook's URL."""
    if url := given.get("webhooks", {}).get("url", ""):
        check_webhook_url(config, url, "webhooks.url")


def check_webhook_url(config: ApiConfig, url: str, path: str) -> None:
    """Raises ParameterInvalid, naming ``path``, if callbacks may not be sent to this URL."""
    problem = webhook_url_problem(
        url,
        allow_http=config.allow_http_webhook,
        allow_private=config.allow_private,
        ports=config.webhook_ports,
    )
    if problem is not None:
        raise ParameterInvalid(f"{path} {problem}")


ROUTES = (
    Route(
        "GET",
        "/v1/settings/application",
        Access.ADMIN,
        Scope.SETTINGS,
        show,
        answer=within("settings.application", ApplicationShown),
    ),
    Route(
        "PATCH",
        "/v1/settings/application",
        Access.ADMIN,
        Scope.SETTINGS,
        patch,
        body=ApplicationSettings,
    ),
    Route(
        "DELETE",
        "/v1/settings/application",
        Access.ADMIN,
        Scope.SETTINGS,
        reset,
        errors=(ParameterInvalid,),
    ),
)

"""/v1/settings/application/webhook-secrets: one secret replaces another, known to nobody meanwhile.

PATCH sets the whole list and so has to be told the secret in force, which nothing shows.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.audit import subject
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.route import Access, Route
from warouter.app_settings import (
    APPLICATION,
    ApplicationSettings,
    effective,
    with_secret,
    without_older_secrets,
)
from warouter.errors import ParameterInvalid
from warouter.http.envelope import success
from warouter.http.request import read_json
from warouter.signature import key_of
from warouter.stored import usable

log = logging.getLogger(__name__)


class SecretRequest(msgspec.Struct, frozen=True):
    """A new secret: ``whsec_`` and 24 to 64 random bytes in base64."""

    secret: str


class SecretsAnswer(msgspec.Struct):
    """How many secrets sign callbacks now."""

    secrets_count: int


_SUBJECT = "webhooks.secrets"  # as in the row of a PATCH
_REQUEST = msgspec.json.Decoder(SecretRequest)


async def add(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Sign with this secret too. Of those in force only the newest stays."""
    wish = await read_json(request, context.config.json_limit, _REQUEST)
    try:
        key_of(wish.secret)
    except ValueError as error:
        raise ParameterInvalid(str(error)) from None
    now = _now()
    subject(request, _SUBJECT)
    await context.accounts.change_setting(
        caller.number, APPLICATION, lambda stored: with_secret(stored, wish.secret, now)
    )
    log.info("webhook secret added", extra=caller.logged)
    return await _counted(context, caller.number)


async def drop_older(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Sign with the newest secret alone; 200 also if there is no older one."""
    now = _now()
    subject(request, _SUBJECT)
    await context.accounts.change_setting(
        caller.number, APPLICATION, lambda stored: without_older_secrets(stored, now)
    )
    log.info("webhook secret deleted", extra=caller.logged)
    return await _counted(context, caller.number)


async def _counted(context: Context, number: int) -> web.Response:
    stored = await context.accounts.setting(number, APPLICATION)
    fields = usable(stored, ApplicationSettings, {}).fields
    return success({"secrets_count": len(effective(fields).webhooks.secrets)})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


_PATH = "/v1/settings/application/webhook-secrets"

ROUTES = (
    Route(
        "POST",
        _PATH,
        Access.ADMIN,
        Scope.SETTINGS,
        add,
        body=SecretRequest,
        answer=SecretsAnswer,
        action="add webhook secret",
    ),
    Route(
        "DELETE",
        _PATH,
        Access.ADMIN,
        Scope.SETTINGS,
        drop_older,
        answer=SecretsAnswer,
        action="delete older webhook secret",
    ),
)

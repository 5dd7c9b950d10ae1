"""POST and DELETE /v1/settings/account/two-step."""

from __future__ import annotations

import logging

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.account.shards import required_pin
from warouter.api.context import Context
from warouter.api.route import Access, Route
from warouter.errors import NotFound, NotReady, ParameterInvalid
from warouter.http.envelope import success
from warouter.http.request import read_json
from warouter.store.account.accounts import Account

log = logging.getLogger(__name__)


class TwoStepRequest(msgspec.Struct, frozen=True):
    """A new pin: ``pin`` is six digits."""

    pin: str


AGAIN_SECONDS = 1

_REQUEST = msgspec.json.Decoder(TwoStepRequest)


async def enable(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Turn two-step verification on, or change its pin. Only a hash of the pin is stored."""
    wish = await read_json(request, context.config.json_limit, _REQUEST)
    pin = required_pin(wish.pin)
    number = caller.number
    seen, cert = await _registered(context, number)
    pin_hash = await context.passwords.hash(pin, caller.session)
    # The authority first: what it refuses changes nothing here. If the database is lost in between,
    # the call is 503, and repeating it makes both the same again.
    await context.authority(number).set_pin(cert, pin)
    await _store(context, number, pin_hash, seen)
    log.info("two-step verification enabled", extra=caller.logged)
    return success({})


async def disable(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """Turn two-step verification off; 200 also if it was off."""
    number = caller.number
    seen, cert = await _registered(context, number)
    await context.authority(number).set_pin(cert, None)
    await _store(context, number, None, seen)
    log.info("two-step verification disabled", extra=caller.logged)
    return success({})


async def _registered(context: Context, number: int) -> tuple[Account, str]:
    """The registration, and its certificate: it proves to the authority that the number is ours."""
    account = await context.accounts.account(number)
    if account is None or account.cert is None:
        raise NotFound("no number is registered yet")
    return account, account.cert


async def _store(context: Context, number: int, pin_hash: str | None, seen: Account) -> None:
    """Store the hash; NotReady (503) if another call has set a pin since this one began, since only
    repeating it makes the authority's pin and ours the same.
    """
    if not await context.accounts.set_pin(number, pin_hash, seen):
        raise NotReady(
            "another call changed the pin or the registration meanwhile: repeat this one",
            retry_after=AGAIN_SECONDS,
        )


ROUTES = (
    Route(
        "POST",
        "/v1/settings/account/two-step",
        Access.ADMIN,
        Scope.ADMIN,
        enable,
        body=TwoStepRequest,
        errors=(NotFound,),
        action="two-step on",
    ),
    Route(
        "DELETE",
        "/v1/settings/account/two-step",
        Access.ADMIN,
        Scope.ADMIN,
        disable,
        errors=(ParameterInvalid, NotFound),
        action="two-step off",
    ),
)

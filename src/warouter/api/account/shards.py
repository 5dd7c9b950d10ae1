"""GET and POST /v1/account/shards. A refused call changes nothing."""

from __future__ import annotations

import logging
import time
from base64 import b64decode
from typing import Literal

import msgspec
from aiohttp import web

from warouter._hash import SHARD_COUNTS
from warouter.access.scopes import Scope
from warouter.api.access.attempts import guard_of
from warouter.api.access.audit import subject
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.route import Access, Route
from warouter.cloud_number import FIRST
from warouter.errors import ChangeRefused, Forbidden, NotFound, ParameterInvalid, ParameterMissing
from warouter.http.envelope import success
from warouter.http.request import read_json
from warouter.http.source import source_of
from warouter.store.account.accounts import Account

log = logging.getLogger(__name__)

CERT_FREE_SECONDS = 7 * 24 * 3600
PIN_DIGITS = 6
_DROPPED = str.maketrans("", "", "+()-. ")


class ShardsRequest(msgspec.Struct, frozen=True):
    """A new number of shards: ``shards`` may be a string, ``pin`` and ``cert`` may be null."""

    cc: str
    phone_number: str
    shards: int
    pin: str | None = None
    cert: str | None = None


_SHARDS = msgspec.json.Decoder(ShardsRequest, strict=False)


async def show_shards(context: Context, _request: web.Request, _caller: Caller) -> web.Response:
    return success({"account": {"shards": await context.cluster.shards()}})


async def set_shards(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Change the number of shards: 201 once the new map is in force, with warnings in ``meta``.
    Only the first number does; others may ask for the present one, and are checked all the same.

    ChangeRefused (403): it is not, and will not be by this call. NotReady (503): it may yet be.
    """
    wish = await read_json(request, context.config.json_limit, _SHARDS)
    if wish.shards not in SHARD_COUNTS:
        raise ParameterInvalid(f"shards must be one of {', '.join(map(str, SHARD_COUNTS))}")
    account = await context.accounts.account(caller.number)
    if account is None:
        raise NotFound("no number is registered yet")
    subject(request, f"{wish.shards} shards")
    _check_number(wish, account)
    await _check_pin(context, request, caller, wish, account)
    _check_certificate(context, wish, account)
    if caller.number != FIRST:
        await _check_unchanged(context, wish)
        return success({"account": {"shards": wish.shards}}, 201)
    log.info("shard change requested", extra={"shards": wish.shards, "by": caller.username})
    warnings = await context.cluster.set_shards(wish.shards)
    return success({"account": {"shards": wish.shards}}, 201, warnings=warnings)


async def _check_unchanged(context: Context, wish: ShardsRequest) -> None:
    """Raises Forbidden unless there are as many shards: they are the installation's."""
    if wish.shards != await context.cluster.shards():
        raise Forbidden(
            "the shards are those of the whole installation: only its first number changes them"
        )


def _check_number(wish: ShardsRequest, account: Account) -> None:
    if digits(wish.cc) != account.cc:
        raise ParameterInvalid("cc is not the country code of the registered number")
    if digits(wish.phone_number) != account.phone_number:
        raise ParameterInvalid("phone_number is not the registered number (without cc)")


async def _check_pin(
    context: Context, request: web.Request, caller: Caller, wish: ShardsRequest, account: Account
) -> None:
    if account.pin_hash is None:
        return
    if not wish.pin:
        raise ParameterMissing("pin is required because two-step verification is on")
    source = source_of(request, context.config.trusted_proxies)
    number, guard = account.cc + account.phone_number, guard_of(context)
    if not await guard.pin(source, caller.session, number, account.pin_hash, wish.pin):
        raise ParameterInvalid("pin is wrong")


def _check_certificate(context: Context, wish: ShardsRequest, account: Account) -> None:
    if not wish.cert:
        old = account.registered_seconds_ago > CERT_FREE_SECONDS
        if old and context.config.shards_cert == "after-7-days":
            raise ParameterMissing("cert is required once the registration is older than 7 days")
        return
    if context.config.any_cert:
        check_form(wish.cert)
        return
    if account.authority_key is None:
        if wish.cert != account.cert:
            raise ParameterInvalid("cert is not the certificate of the registered number")
        return
    checked_certificate(wish.cert, account.authority_key, account.cc + account.phone_number)


def check_form(cert: str) -> None:
    """Raises ParameterInvalid for what cannot be a certificate: it is base64 of something."""
    try:
        content = b64decode("".join(cert.split()), validate=True)
    except ValueError:
        content = b""
    if not content:
        raise ParameterInvalid("cert is not valid: the certificate is not base64")


def checked_certificate(cert: str, authority_key: bytes, number: str) -> None:
    """Raises ParameterInvalid unless the authority signed this for the number, and it is valid."""
    # Only here: it loads 8 MiB that a webapp needs for rare calls alone.
    from warouter.upstream import authority

    try:
        certificate = authority.check(cert, authority_key, time.time())
    except ValueError as error:
        raise ParameterInvalid(f"cert is not valid: {error}") from None
    if certificate.number != number:
        raise ParameterInvalid("cert is not valid: it was issued for another number")


def digits(spelling: str) -> str:
    """A part of a number without the separators that people write."""
    return spelling.translate(_DROPPED)


def required_pin(pin: str) -> str:
    """A pin of six digits for two-step verification; raises ParameterInvalid for anything else."""
    if not (len(pin) == PIN_DIGITS and pin.isascii() and pin.isdigit()):
        raise ParameterInvalid(f"pin must have {PIN_DIGITS} digits")
    return pin


_COUNT = within("account.shards", Literal[1, 2, 4, 8, 16, 32], "ShardCount")

ROUTES = (
    Route("GET", "/v1/account/shards", Access.ADMIN, Scope.ADMIN, show_shards, answer=_COUNT),
    Route(
        "POST",
        "/v1/account/shards",
        Access.ADMIN,
        Scope.ADMIN,
        set_shards,
        body=ShardsRequest,
        answer=_COUNT,
        status=(201,),
        errors=(NotFound, ChangeRefused, Forbidden),
        action="set shards",
    ),
)

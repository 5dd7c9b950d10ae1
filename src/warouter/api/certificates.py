"""The TLS certificate of the API, and the CA certificates that verify webhook servers."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.route import Access, Route
from warouter.app_settings import EXTERNAL_CERTIFICATE, WEBHOOK_CA
from warouter.cloud_number import FIRST
from warouter.errors import Forbidden, NotFound, ParameterInvalid
from warouter.http.envelope import success
from warouter.http.request import read_body
from warouter.stored import text_of

if TYPE_CHECKING:
    from warouter.tls.certificate import Pair

log = logging.getLogger(__name__)

PAIR_BYTES = 64 * 1024
BUNDLE_BYTES = 512 * 1024
_TEXT = "text/plain"


class StoredPair(msgspec.Struct, frozen=True):
    """The stored certificate of the API in PEM, the leaf first in its chain."""

    chain: str
    key: str


class StoredBundle(msgspec.Struct, frozen=True):
    """The stored CA certificates for webhooks."""

    pem: str


async def set_external(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Set the installation's certificate: every webapp uses it within a second; open connections
    go on.
    """
    _check_first(caller)
    text = await _text(request, PAIR_BYTES)
    try:
        pair = await context.passwords.run(lambda: _pair(text), caller.session)
    except ValueError as error:
        raise ParameterInvalid(f"the certificate cannot be used: {error}") from None
    stored = {"chain": pair.chain, "key": pair.key}
    await context.accounts.change_setting(caller.number, EXTERNAL_CERTIFICATE, lambda _: stored)
    log.warning("certificate replaced", extra=caller.logged)
    return success({})


async def reset_external(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """Delete the certificate and use the files again; 200 also if none was set."""
    _check_first(caller)
    await context.accounts.delete_setting(caller.number, EXTERNAL_CERTIFICATE)
    log.warning("certificate deleted", extra=caller.logged)
    return success({})


async def show_signers(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """The issuers of the served certificate: its chain without the first."""
    chain = context.served_chain()
    signers = ""
    if chain:
        signers = await context.passwords.run(lambda: _signers(chain), caller.session)
    if not signers:
        raise NotFound("the served chain does not contain the certificate of its issuer")
    return _pem(signers)


async def set_webhook_ca(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Set the CA certificates: callbacks use them within a second, instead of the system's."""
    text = await _text(request, BUNDLE_BYTES)
    try:
        bundle = await context.passwords.run(lambda: _bundle(text), caller.session)
    except ValueError as error:
        raise ParameterInvalid(f"the bundle cannot be used: {error}") from None
    await context.accounts.change_setting(caller.number, WEBHOOK_CA, lambda _: {"pem": bundle})
    log.warning("webhook CA replaced", extra=caller.logged)
    return success({})


async def show_webhook_ca(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    bundle = text_of(await context.accounts.setting(caller.number, WEBHOOK_CA), "pem")
    if not bundle:
        raise _no_bundle()
    return _pem(bundle)


async def reset_webhook_ca(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """Delete the CA certificates and use the system's again."""
    if not await context.accounts.setting(caller.number, WEBHOOK_CA):
        raise _no_bundle()
    await context.accounts.delete_setting(caller.number, WEBHOOK_CA)
    log.warning("webhook CA deleted", extra=caller.logged)
    return success({})


def _check_first(caller: Caller) -> None:
    """Raises Forbidden: all numbers are served with one certificate."""
    if caller.number != FIRST:
        raise Forbidden(
            "the certificate is that of the whole installation: only its first number changes it"
        )


# In threads: what they import, 8 MiB that a webapp needs for these calls alone, takes its time, and
# so do many or large certificates.


def _pair(text: str) -> Pair:
    from warouter.tls import certificate

    return certificate.checked_pair(text, datetime.now(UTC))


def _signers(chain: str) -> str:
    from warouter.tls import certificate

    return certificate.signers(chain)


def _bundle(text: str) -> str:
    from warouter.tls import certificate

    return certificate.checked_authorities(text)


async def _text(request: web.Request, limit: int) -> str:
    body = await read_body(request, limit)
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise ParameterInvalid("the body is not PEM: it must be ASCII text") from None


def _pem(text: str) -> web.Response:
    return web.Response(text=text, content_type=_TEXT)


def _no_bundle() -> NotFound:
    return NotFound("no CA certificates for webhooks are set")


_EXTERNAL, _WEBHOOKS = "/v1/certificates/external", "/v1/certificates/webhooks/ca"

ROUTES = (
    Route(
        "POST",
        _EXTERNAL,
        Access.ADMIN,
        Scope.ADMIN,
        set_external,
        body=_TEXT,
        errors=(Forbidden,),
    ),
    Route(
        "DELETE",
        _EXTERNAL,
        Access.ADMIN,
        Scope.ADMIN,
        reset_external,
        errors=(Forbidden,),
    ),
    Route(
        "GET",
        f"{_EXTERNAL}/ca",
        Access.ADMIN,
        Scope.ADMIN,
        show_signers,
        answer=_TEXT,
        errors=(NotFound,),
    ),
    Route("POST", _WEBHOOKS, Access.ADMIN, Scope.SETTINGS, set_webhook_ca, body=_TEXT),
    Route(
        "GET",
        _WEBHOOKS,
        Access.ADMIN,
        Scope.SETTINGS,
        show_webhook_ca,
        answer=_TEXT,
        errors=(NotFound,),
    ),
    Route("DELETE", _WEBHOOKS, Access.ADMIN, Scope.SETTINGS, reset_webhook_ca, errors=(NotFound,)),
)

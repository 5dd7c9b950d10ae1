"""Authorisation of requests, and POST /v1/users/login and logout."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec
from aiohttp import web

from warouter.access.key import PREFIX
from warouter.access.login import LOG_OUT, Given, LogIns
from warouter.access.names import can_be_looked_for
from warouter.access.scopes import ANY, names_of
from warouter.access.token import hash_of, new_token
from warouter.api.access.attempts import check_key, guard_of, holder_of
from warouter.api.access.audit import note_refusal
from warouter.api.access.caller import Caller
from warouter.api.access.numbers import number_named
from warouter.api.context import Context
from warouter.api.description.replies import Token
from warouter.api.description.wrapped import within
from warouter.api.route import Access, Route
from warouter.cloud_number import FIRST
from warouter.errors import (
    AccessDenied,
    ApiError,
    Forbidden,
    LoginRefused,
    ParameterInvalid,
    PasswordChangeRequired,
    TooManyRequests,
)
from warouter.http.decode import decode
from warouter.http.envelope import success
from warouter.http.request import read_body
from warouter.http.source import is_from_this_host, source_of
from warouter.store.account.accounts import ADMIN

D360_HEADER = "D360-API-KEY"
_ONE_CALLER = "a request has one credential, or several of the same caller"
_MONITOR = Caller("", "ROLE_MONITOR")
# Names that other products give to a credential in a query.
_CREDENTIALS = frozenset(("access_token", "api_key", "apikey", "d360-api-key", "token"))


class Login(msgspec.Struct, frozen=True):
    new_password: str | None = None


_LOGIN = msgspec.json.Decoder(Login)
_NOTHING = (b"", b"null", b"[]")  # the last is how PHP writes an empty object


async def authorise(context: Context, request: web.Request, route: Route) -> Caller:
    """The caller, if the route allows them; raises AccessDenied (401) or Forbidden (403), and
    NotFound (404) where the path is that of no number.
    """
    numbers, name = context.tokens.numbers, number_named(request)
    if not numbers.known and (name or route.access is Access.LOGIN):
        await context.tokens.refresh()
    stated = numbers.stated(name, request.headers.get("Host", ""))
    if route.access in (Access.OPEN, Access.LOGIN):
        of = FIRST if stated is None else stated
        return Caller("", "", number=of, number_name=numbers.prefix_of(of))
    caller = await _holder(context, request, route)
    if caller is not _MONITOR:
        _check(context, request, caller, route, stated)
    return caller


async def _holder(context: Context, request: web.Request, route: Route) -> Caller:
    """The holder of the credential; AccessDenied if there is none, or nobody holds it."""
    _refuse_in_query(request)
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    credentials = credentials.strip()
    if context.config.d360 and (keys := request.headers.getall(D360_HEADER, ())):
        return await _by_keys(context, request, keys, scheme, credentials)
    match scheme.lower():
        case "bearer":
            return await holder_of(context, request, credentials)
        case "apikey" if route.access is Access.MONITOR:
            return await _api_key(context, request, credentials)
        case _:
            raise AccessDenied("a valid token or key is required: Authorization: Bearer TOKEN")


async def _by_keys(
    context: Context, request: web.Request, keys: Sequence[str], scheme: str, credentials: str
) -> Caller:
    """The holder of what D360-API-KEY has; AccessDenied if Authorization, or another such field,
    names somebody else: nobody knows then which of them a proxy in front has checked.
    """
    given = [key.strip() for key in keys]
    if scheme.lower() == "bearer":
        given.append(credentials)
    elif scheme:
        raise AccessDenied(f"{D360_HEADER} and Authorization: {_ONE_CALLER}")
    callers = [await holder_of(context, request, one) for one in given]
    if len({(caller.number, caller.username) for caller in callers}) > 1:
        raise AccessDenied(f"{D360_HEADER} beside another credential: {_ONE_CALLER}")
    return callers[0]


async def login(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Exchange Basic credentials for a token of 7 days;
    ``new_password`` changes the password first.

    Some clients send the present password as the new one: that changes nothing.
    """
    body = await read_body(request, context.config.json_limit)
    wish = Login() if body.strip() in _NOTHING else decode(body, _LOGIN)
    log_ins, trusted = _log_ins(context, caller), context.config.trusted_proxies
    username, source = "", source_of(request, trusted)
    try:
        username, password = _basic(request)
        here = is_from_this_host(request, trusted)
        given = Given(username, password, wish.new_password, source, here)
        token, expires = await _let_in(context, log_ins, caller.number, given)
    except ApiError as error:
        log_ins.refused(username, source, error)
        raise
    await log_ins.done(username, source)
    return success({"users": [{"token": token, "expires_after": expires}]})


async def logout(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """End the token that was sent, and no other."""
    if caller.grant is not None:
        raise ParameterInvalid(f"a key is ended by DELETE /v1/keys/{caller.grant.key}")
    await context.accounts.remove_token(caller.hash)
    context.tokens.forget(caller)
    await _log_ins(context, caller).done(caller.username, _source(context, request), LOG_OUT)
    return success({})


async def _let_in(context: Context, log_ins: LogIns, number: int, given: Given) -> tuple[str, str]:
    """(a new token, its end); raises LoginRefused if the password has just been changed."""
    user, password_hash = await log_ins.verified(given)
    token = new_token()
    await context.tokens.write_uses()  # they decide which token goes if it is one too many
    added = await context.accounts.add_token(number, user.username, password_hash, hash_of(token))
    if added is None:  # the password was changed, or the user deleted, since it was checked
        raise LoginRefused("Invalid credentials.")
    if added.ended:
        await log_ins.crowded(user.username, given.source, added.ended)
    return token, added.expires


def _log_ins(context: Context, caller: Caller) -> LogIns:
    """Log-ins at the number of this caller, who may be nobody yet."""
    return LogIns(
        context.accounts,
        context.audit,
        guard_of(context),
        context.tokens.refresh,
        number=caller.number,
        number_name=caller.number_name,
    )


def _check(
    context: Context, request: web.Request, caller: Caller, route: Route, stated: int | None
) -> None:
    """Refuse the holder of a token or key whose URL is ``stated`` to be another number's, or whom
    the route does not allow.
    """
    refusal: ApiError
    if stated not in (None, caller.number):
        refusal = Forbidden("the credential is for another number")
    elif caller.must_change:
        raise PasswordChangeRequired("the default password must be changed first")
    elif caller.lacks(route.scope):
        refusal = Forbidden(f'the key lacks the scope "{names_of(route.scope)[0]}"')
    elif caller.grant is None and route.access is Access.ADMIN and caller.role != ADMIN:
        refusal = Forbidden("only an administrator may do this")
    else:
        return
    note_refusal(context, request, caller.actor, route.name, refusal)
    raise refusal


def _refuse_in_query(request: web.Request) -> None:
    """A query stands in logs of proxies and in histories of browsers: no place for a secret."""
    if "?" not in request.raw_path:  # nearly all: to read the query costs more than all the rest
        return
    for name, value in request.query.items():
        if name.lower() in _CREDENTIALS or value.startswith(PREFIX):
            raise ParameterInvalid("credentials belong into a header, not into the query")


def _source(context: Context, request: web.Request) -> str:
    return source_of(request, context.config.trusted_proxies)


async def _api_key(context: Context, request: web.Request, key: str) -> Caller:
    refusal: ApiError = AccessDenied("the API key is not valid")
    try:
        if await check_key(context, request, key):
            return _MONITOR
    except TooManyRequests as error:
        refusal = error
    note_refusal(context, request, "", "API key", refusal)
    raise refusal


def _basic(request: web.Request) -> tuple[str, str]:
    """(user name, password) of a Basic header; raises LoginRefused for any other header."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise LoginRefused("credentials are required: Authorization: Basic base64(user:password)")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        raise LoginRefused("Invalid credentials.") from None
    username, colon, password = text.partition(":")
    if not colon or not can_be_looked_for(username):
        raise LoginRefused("Invalid credentials.")
    return username, password


ROUTES = (
    Route(
        "POST",
        "/v1/users/login",
        Access.LOGIN,
        ANY,
        login,
        body=Login,
        body_required=False,
        answer=within("users", list[Token], "Tokens"),
    ),
    Route("POST", "/v1/users/logout", Access.USER, ANY, logout),
)

"""Authorisation of requests, and POST /v1/users/login and logout."""

from __future__ import annotations

import base64
import logging
import shlex

import msgspec
from aiohttp import web

from warouter.api.access.attempts import check_key, check_password
from warouter.api.access.audit import note_done, note_refusal, recorded, subject
from warouter.api.access.passwords import Passwords, check_new_password
from warouter.api.access.tokens import Caller, hash_of, new_token
from warouter.api.context import Context
from warouter.api.description.replies import TokenAnswer
from warouter.api.route import Access, Route
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
from warouter.store.account.accounts import ADMIN, Accounts, User

log = logging.getLogger(__name__)

DEFAULT_USERNAME = "admin"
DEFAULT_PASSWORD = "secret"
SET_PASSWORD = "warouter user set-password"
LOG_IN = "log in"
NAME_LEAST, NAME_MOST = 4, 32
_NOBODY = Caller("", "")
_MONITOR = Caller("", "ROLE_MONITOR")


class Login(msgspec.Struct, frozen=True):
    new_password: str | None = None


_LOGIN = msgspec.json.Decoder(Login)
_NOTHING = (b"", b"null", b"[]")  # the last is how PHP writes an empty object


async def authorise(context: Context, request: web.Request, route: Route) -> Caller:
    """The caller, if the route allows them; raises AccessDenied (401) or Forbidden (403)."""
    if route.access in (Access.OPEN, Access.LOGIN):
        return _NOBODY
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    credentials = credentials.strip()
    match scheme.lower():
        case "bearer":
            caller = await context.tokens.caller(credentials)
            return _allowed(context, request, caller, route)
        case "apikey" if route.access is Access.MONITOR:
            return await _api_key(context, request, credentials)
        case _:
            raise AccessDenied("a valid token is required: Authorization: Bearer TOKEN")


async def login(context: Context, request: web.Request, _caller: Caller) -> web.Response:
    """Exchange Basic credentials for a token of 7 days;
    ``new_password`` changes the password first.

    Some clients send the present password as the new one: that changes nothing.
    """
    body = await read_body(request, context.config.json_limit)
    wish = Login() if body.strip() in _NOTHING else decode(body, _LOGIN)
    username = ""
    try:
        username, password = _basic(request)
        user = await _who(context, request, username, password)
        token, expires = await _let_in(context, request, user, password, wish)
    except ApiError as error:
        if error.status < 500:
            note_refusal(context, request, username, LOG_IN, error)
        raise
    await note_done(context, request, username, LOG_IN)
    return success({"users": [{"token": token, "expires_after": expires}]})


async def logout(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """End the token that was sent, and no other."""
    await context.accounts.remove_token(caller.token_hash)
    context.tokens.forget(caller.token_hash)
    await note_done(context, request, caller.username, "log out")
    return success({})


async def seed_administrator(
    accounts: Accounts, passwords: Passwords, password: str | None = None
) -> bool:
    """Create the account `admin` unless it exists; True if it was created.

    Without ``password`` it is the product's default one, good for nothing but setting another.
    """
    present = await accounts.user(DEFAULT_USERNAME)
    if password is None and (present is None or present.must_change):
        log.warning(
            "default password found", extra={"change_with": f"{SET_PASSWORD} {DEFAULT_USERNAME}"}
        )
    if present is not None:
        return False
    password_hash = await passwords.hash(DEFAULT_PASSWORD if password is None else password)
    return await accounts.create_user(
        DEFAULT_USERNAME, password_hash, ADMIN, must_change=password is None
    )


async def _who(context: Context, request: web.Request, username: str, password: str) -> User:
    """The user with this name and password; raises LoginRefused if they are wrong."""
    trusted = context.config.trusted_proxies
    user = await context.accounts.user(username)
    # From afar a default password is as good as none: whatever was given is checked against nobody,
    # so that right and wrong ones cost the same, count the same and get the same answer.
    is_far = user is not None and user.must_change and not is_from_this_host(request, trusted)
    known_hash = None if user is None or is_far else user.password_hash
    right = await check_password(context, request, username, known_hash, password)
    if user is None or not right:
        source = source_of(request, trusted)
        log.warning("login refused", extra={"username": username, "source": source})
        raise LoginRefused(_only_from_here(username) if is_far else "Invalid credentials.")
    return user


def _only_from_here(username: str) -> str:
    return (
        "the default password is accepted from this host only: an operator sets another one with"
        f" `{SET_PASSWORD} {shlex.quote(username)}`"
    )


async def _let_in(
    context: Context, request: web.Request, user: User, password: str, wish: Login
) -> tuple[str, str]:
    """(a new token, its end); raises LoginRefused if the password has just been changed."""
    if wish.new_password and wish.new_password != password:
        password_hash = await _change_password(context, request, user, wish.new_password)
    else:
        password_hash = await _current_hash(context, user, password)
    token = new_token()
    expires = await context.accounts.add_token(user.username, password_hash, hash_of(token))
    if expires is None:  # the password was changed, or the user deleted, since it was checked
        raise LoginRefused("Invalid credentials.")
    return token, expires


async def _change_password(context: Context, request: web.Request, user: User, new: str) -> str:
    """Change the password and return its hash."""
    check_new_password(new, "new_password")
    subject(request, user.username)
    async with recorded(context, request, user.username, "change password"):
        changed = await context.passwords.hash(new, user.username)
        await context.accounts.set_password(user.username, changed)
        await context.tokens.refresh()
    return changed


async def _current_hash(context: Context, user: User, password: str) -> str:
    """The hash of the present password, renewed if its parameters are weaker than today's."""
    if user.must_change:
        raise PasswordChangeRequired(
            "the default password must be changed: log in with new_password in the body"
        )
    if not context.passwords.is_outdated(user.password_hash):
        return user.password_hash
    renewed = await context.passwords.hash(password, user.username)
    await context.accounts.rehash(user.username, user.password_hash, renewed)
    return renewed


def _allowed(context: Context, request: web.Request, caller: Caller | None, route: Route) -> Caller:
    """The holder of a token, if the route allows them."""
    if caller is None:
        raise AccessDenied("the token is not valid, or has expired")
    if caller.must_change:
        raise PasswordChangeRequired("the default password must be changed first")
    if route.access is Access.ADMIN and caller.role != ADMIN:
        refusal = Forbidden("only an administrator may do this")
        note_refusal(context, request, caller.username, route.name, refusal)
        raise refusal
    return caller


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
    if not colon or not username.isprintable() or len(username) > NAME_MOST:
        raise LoginRefused("Invalid credentials.")
    return username, password


ROUTES = (
    Route(
        "POST",
        "/v1/users/login",
        Access.LOGIN,
        login,
        "Log in: a token of 7 days; new_password changes the password first",
        body=Login,
        body_required=False,
        answer=TokenAnswer,
        errors=(ParameterInvalid, AccessDenied, PasswordChangeRequired, TooManyRequests),
    ),
    Route("POST", "/v1/users/logout", Access.USER, logout, "Log out: ends the token that was sent"),
)

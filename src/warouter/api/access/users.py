"""POST /v1/users, and GET, PUT, DELETE /v1/users/{username}, for administrators."""

from __future__ import annotations

import logging

import msgspec
from aiohttp import web

from warouter.access.names import DEFAULT_USERNAME, check_username
from warouter.access.passwords import check_new_password
from warouter.access.scopes import Scope
from warouter.api.access.audit import subject
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.replies import UserName, UserShown
from warouter.api.description.wrapped import within
from warouter.api.route import Access, Route
from warouter.errors import Forbidden, NotFound, UserNotCreated
from warouter.http.envelope import success
from warouter.http.request import path_name, read_json

log = logging.getLogger(__name__)


class NewUser(msgspec.Struct, frozen=True):
    username: str
    password: str


class NewPassword(msgspec.Struct, frozen=True):
    password: str


_NEW_USER = msgspec.json.Decoder(NewUser)
_NEW_PASSWORD = msgspec.json.Decoder(NewPassword)


async def create(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Create a user of the caller's number, always of ROLE_USER: there is one administrator."""
    new = await read_json(request, context.config.json_limit, _NEW_USER)
    check_username(new.username)
    check_new_password(new.password, "password")
    password_hash = await context.passwords.hash(new.password, caller.session)
    subject(request, new.username)
    by = caller.author
    if not await context.accounts.create_user(caller.number, new.username, password_hash, by=by):
        raise UserNotCreated("Unable to create user. Already exist?")
    log.info("user created", extra={"username": new.username, "by": caller.username})
    return _named(new.username, 201)


async def show(context: Context, request: web.Request, caller: Caller) -> web.Response:
    user = await context.accounts.user(caller.number, path_name(request, "username"))
    if user is None:
        raise _unknown()
    return success({"users": [{"username": user.username, "ROLES": user.role}]})


async def change(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Set a new password and end all tokens of the user."""
    username = path_name(request, "username")
    subject(request, username)
    wish = await read_json(request, context.config.json_limit, _NEW_PASSWORD)
    check_new_password(wish.password, "password")
    password_hash = await context.passwords.hash(wish.password, caller.session)
    by = caller.author
    if not await context.accounts.set_password(caller.number, username, password_hash, by):
        raise _unknown()
    await context.tokens.refresh()
    log.info("password changed", extra={"username": username, "by": caller.username})
    return _named(username)


async def delete(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Delete a user and end all their tokens."""
    username = path_name(request, "username")
    subject(request, username)
    if username == DEFAULT_USERNAME:
        raise Forbidden(f"the account {DEFAULT_USERNAME} cannot be deleted")
    if not await context.accounts.delete_user(caller.number, username, caller.author):
        raise _unknown()
    await context.tokens.refresh()
    log.info("user deleted", extra={"username": username, "by": caller.username})
    return _named(username)


def _named(username: str, status: int = 200) -> web.Response:
    return success({"users": [{"username": username}]}, status)


def _unknown() -> NotFound:
    return NotFound("there is no such user")


_NAME = within("users", list[UserName], "UserNames")

ROUTES = (
    Route(
        "POST",
        "/v1/users",
        Access.ADMIN,
        Scope.ADMIN,
        create,
        body=NewUser,
        answer=_NAME,
        status=(201,),
        errors=(UserNotCreated,),
        action="create user",
    ),
    Route(
        "GET",
        "/v1/users/{username}",
        Access.ADMIN,
        Scope.ADMIN,
        show,
        answer=within("users", list[UserShown], "Users"),
        errors=(NotFound,),
    ),
    Route(
        "PUT",
        "/v1/users/{username}",
        Access.ADMIN,
        Scope.ADMIN,
        change,
        body=NewPassword,
        answer=_NAME,
        errors=(NotFound,),
        action="change password",
    ),
    Route(
        "DELETE",
        "/v1/users/{username}",
        Access.ADMIN,
        Scope.ADMIN,
        delete,
        answer=_NAME,
        errors=(NotFound,),
        action="delete user",
    ),
)

"""POST /v1/settings/backup and /v1/settings/restore: a number's settings, users, registration."""

from __future__ import annotations

import logging

import msgspec
from aiohttp import web

from warouter.access.passwords import check_new_password
from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.messages.rules import filled
from warouter.api.restored import checked
from warouter.api.route import Access, Route
from warouter.api.settings import CHECKED, set_upstream
from warouter.app_settings import APPLICATION, effective
from warouter.errors import ApiError, NumberTaken, ParameterInvalid
from warouter.http.envelope import success
from warouter.http.request import read_json
from warouter.store.account.accounts import is_unavailable
from warouter.store.account.backup import Saved

log = logging.getLogger(__name__)

RESTORE_LIMIT = 4 * 1024 * 1024
PASSWORD_CHARS = 1024


class BackupRequest(msgspec.Struct, frozen=True):
    password: str


class RestoreRequest(msgspec.Struct, frozen=True):
    """A backup and its password: ``data`` is the text that POST /v1/settings/backup returned."""

    password: str
    data: str


_BACKUP = msgspec.json.Decoder(BackupRequest)
_RESTORE = msgspec.json.Decoder(RestoreRequest)


async def backup(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Return everything of the number as one encrypted text; the password is not stored."""
    from warouter.api.sealed import seal  # loads what a webapp needs for these rare calls alone

    wish = await read_json(request, context.config.json_limit, _BACKUP)
    password = _password(wish.password)
    check_new_password(password, "password")
    content = msgspec.json.encode(await context.backups.read(caller.number))
    data = await context.passwords.run(lambda: seal(content, password), caller.session)
    log.info("backup created", extra=caller.logged)
    return success({"settings": {"data": data}})


async def restore(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Replace settings, users and registration by those of the backup, or change nothing."""
    from warouter.api.sealed import check_form, unseal

    wish = await read_json(request, RESTORE_LIMIT, _RESTORE)
    password, text = _password(wish.password), filled(wish.data, "data")

    def opened() -> tuple[Saved, list[str]]:
        return checked(unseal(sealed, password), context.config, caller.number)

    try:
        sealed = check_form(text)
        saved, warnings = await context.passwords.run(opened, caller.session)
    except ValueError as error:
        raise ParameterInvalid(f"data or password is not valid: {error}") from None
    if not await context.backups.replace(caller.number, saved, caller.author):
        raise NumberTaken("the backup belongs to another number than the one registered here")
    await context.tokens.refresh()
    log.warning("backup restored", extra={**caller.logged, "users": len(saved.users)})
    warnings += await _set_upstream(context, caller.number, saved)
    return success({}, warnings=warnings)


async def _set_upstream(context: Context, number: int, saved: Saved) -> list[str]:
    """Set at the upstream what the restored settings ask for; warnings of what was not done. The
    backup is in force already, and an upstream that is away is no reason to keep it out.
    """
    settings = effective(saved.settings.get(APPLICATION, {}))
    try:
        await set_upstream(context, number, settings.show_security_notifications)
    except ApiError as error:
        return [f"{error.details}: repeat it by PATCH /v1/settings/application"]
    except Exception as error:
        if not is_unavailable(error):
            raise
        return [f"{CHECKED} was not set at Meta: repeat it by PATCH /v1/settings/application"]
    return []


def _password(password: str) -> str:
    """The password. Old backups may have one that today's rule does not allow."""
    filled(password, "password", PASSWORD_CHARS)
    try:
        password.encode()
    except UnicodeEncodeError:
        raise ParameterInvalid("password contains characters that UTF-8 cannot encode") from None
    return password


ROUTES = (
    Route(
        "POST",
        "/v1/settings/backup",
        Access.ADMIN,
        Scope.ADMIN,
        backup,
        body=BackupRequest,
        answer=within("settings.data", str, "Backup"),
        action="backup",
    ),
    Route(
        "POST",
        "/v1/settings/restore",
        Access.ADMIN,
        Scope.ADMIN,
        restore,
        body=RestoreRequest,
        errors=(NumberTaken,),
        action="restore",
    ),
)

"""POST /v1/settings/backup and /v1/settings/restore: settings, users and the registration."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from warouter.api.audited import audited
from warouter.api.auth import DEFAULT_USERNAME
from warouter.api.certificates import StoredBundle, StoredPair
from warouter.api.context import Context
from warouter.api.decode import decode
from warouter.api.envelope import success
from warouter.api.profile import About, BusinessProfile, ComplianceInfo
from warouter.api.providers import StoredProviders
from warouter.api.request import read_json
from warouter.api.route import Access, Route
from warouter.api.rules import filled
from warouter.api.tokens import Caller
from warouter.app_settings import (
    APPLICATION,
    BUSINESS_PROFILE,
    COMPLIANCE_INFO,
    EXTERNAL_CERTIFICATE,
    MEDIA_PROVIDERS,
    PROFILE_ABOUT,
    WEBHOOK_CA,
    ApplicationSettings,
)
from warouter.errors import (
    ApiError,
    BodyTooLarge,
    NumberTaken,
    ParameterInvalid,
    ParameterMissing,
)
from warouter.store.accounts import ADMIN
from warouter.store.backup import Saved

log = logging.getLogger(__name__)

RESTORE_LIMIT = 4 * 1024 * 1024
PASSWORD_CHARS = 1024
# What is stored under each name: all that read it rely on it.
_KINDS: Mapping[str, Any] = {
    APPLICATION: ApplicationSettings,
    BUSINESS_PROFILE: BusinessProfile,
    COMPLIANCE_INFO: ComplianceInfo,
    PROFILE_ABOUT: About,
    MEDIA_PROVIDERS: StoredProviders,
    EXTERNAL_CERTIFICATE: StoredPair,
    WEBHOOK_CA: StoredBundle,
}


class BackupRequest(msgspec.Struct, frozen=True):
    password: str


class RestoreRequest(msgspec.Struct, frozen=True):
    """``data`` is what a backup answered."""

    password: str
    data: str


class BackupData(msgspec.Struct, frozen=True):
    data: str


class BackupAnswer(msgspec.Struct, frozen=True):
    settings: BackupData


_BACKUP = msgspec.json.Decoder(BackupRequest)
_RESTORE = msgspec.json.Decoder(RestoreRequest)
_SAVED = msgspec.json.Decoder(Saved)


async def backup(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Everything as one encrypted text; the password is kept nowhere."""
    from warouter.api.sealed import seal  # loads what a webapp needs for these rare calls alone

    wish = await read_json(request, context.config.json_limit, _BACKUP)
    password = _password(wish.password)
    content = msgspec.json.encode(await context.backups.read())
    data = await context.passwords.run(lambda: seal(content, password), caller.session)
    log.info("backup made", extra={"by": caller.username})
    return success({"settings": {"data": data}})


async def restore(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Replace settings, users and registration by those of the backup, or change nothing."""
    from warouter.api.sealed import check_form, unseal

    wish = await read_json(request, RESTORE_LIMIT, _RESTORE)
    password, text = _password(wish.password), filled(wish.data, "data")
    try:
        raw = check_form(text)
        saved = _checked(await context.passwords.run(lambda: unseal(raw, password), caller.session))
    except ValueError as error:
        raise ParameterInvalid(f"data or password is not valid: {error}") from None
    if not await context.backups.replace(saved):
        raise NumberTaken("the backup is of another number than the one that is registered here")
    await context.tokens.refresh()
    log.warning("backup restored", extra={"by": caller.username, "users": len(saved.users)})
    return success({})


def _password(password: str) -> str:
    filled(password, "password", PASSWORD_CHARS)
    try:
        password.encode()
    except UnicodeEncodeError:
        raise ParameterInvalid("password has characters that are none") from None
    return password


def _checked(content: bytes) -> Saved:
    """What a backup holds, if it makes a cluster that works; ValueError if not."""
    try:
        saved = decode(content, _SAVED)
        for name, value in saved.settings.items():
            msgspec.convert(value, _KINDS.get(name, dict[str, Any]), strict=False)
    except (ApiError, msgspec.MsgspecError, TypeError) as error:
        raise ValueError(f"its content is not as it must be: {error}") from error
    if not any(u.username == DEFAULT_USERNAME and u.role == ADMIN for u in saved.users):
        raise ValueError(f"it has no account {DEFAULT_USERNAME}")
    return saved


ROUTES = (
    Route(
        "POST",
        "/v1/settings/backup",
        Access.ADMIN,
        audited("backup", backup),
        "Settings, users and registration as one encrypted text",
        body=BackupRequest,
        answer=BackupAnswer,
        errors=(ParameterMissing, ParameterInvalid),
    ),
    Route(
        "POST",
        "/v1/settings/restore",
        Access.ADMIN,
        audited("restore", restore),
        "Put a backup in place of settings, users and registration",
        body=RestoreRequest,
        errors=(ParameterMissing, ParameterInvalid, BodyTooLarge, NumberTaken),
    ),
)

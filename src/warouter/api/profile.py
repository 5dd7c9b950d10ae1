"""The business as customers see it: profile, compliance information, about text, photo."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from warouter.api.access.audit import named, subject
from warouter.api.access.tokens import Caller
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.messages.rules import required, short
from warouter.api.route import Access, Route
from warouter.app_settings import BUSINESS_PROFILE, COMPLIANCE_INFO, PROFILE_ABOUT
from warouter.errors import BodyTooLarge, NotFound, ParameterInvalid, ParameterMissing
from warouter.http.envelope import success
from warouter.http.request import read_body, read_json
from warouter.media import types
from warouter.store.account.photo import Photo
from warouter.stored import usable

log = logging.getLogger(__name__)

ABOUT_CHARS = 139
PHOTO_BYTES = 5 * 1024 * 1024
_WEBSITES, _WEBSITE_CHARS = 2, 256
_LIMITS = {"address": 256, "description": 512, "email": 128, "vertical": 128}
_COMPLIANCE_CHARS = 256
# What the bytes are is told by their beginning, whatever the header calls them.
_PHOTOS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


class BusinessProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The profile: at most 256 characters each, ``description``
    512, ``email`` and ``vertical`` 128.
    """

    address: str | None = None
    description: str | None = None
    email: str | None = None
    vertical: str | None = None
    websites: list[str] | None = None


class CustomerCare(msgspec.Struct, frozen=True, kw_only=True):
    email: str | None = None
    landline_number: str | None = None
    mobile_number: str | None = None


class GrievanceOfficer(msgspec.Struct, frozen=True, kw_only=True):
    name: str | None = None
    email: str | None = None
    landline_number: str | None = None
    mobile_number: str | None = None


class ComplianceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Compliance information, which India requires of businesses. Texts: at most 256 characters."""

    entity_name: str | None = None
    entity_type: str | None = None
    entity_type_custom: str | None = None
    is_registered: bool | None = None
    customer_care_details: CustomerCare | None = None
    grievance_officer_details: GrievanceOfficer | None = None


class About(msgspec.Struct, frozen=True):
    text: str | None = None


class PhotoLink(msgspec.Struct, frozen=True):
    link: str


_PROFILE = msgspec.json.Decoder(BusinessProfile, strict=False)
_COMPLIANCE = msgspec.json.Decoder(ComplianceInfo, strict=False)
_ABOUT = msgspec.json.Decoder(About)
_EMPTY_PROFILE = {"address": "", "description": "", "email": "", "vertical": "", "websites": []}


async def show_profile(context: Context, _request: web.Request, _caller: Caller) -> web.Response:
    stored = await _stored(context, BUSINESS_PROFILE, BusinessProfile)
    return success({"settings": {"business": {"profile": {**_EMPTY_PROFILE, **stored}}}})


async def _stored(context: Context, name: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return usable(await context.accounts.setting(name), kind, {}).fields


async def set_profile(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Change the given fields; an empty value clears one."""
    wish = await read_json(request, context.config.json_limit, _PROFILE)
    check_profile(wish)
    await _change(context, request, BUSINESS_PROFILE, wish)
    log.info("business profile changed", extra={"by": caller.username})
    return success({})


async def show_compliance(context: Context, _request: web.Request, _caller: Caller) -> web.Response:
    stored = await _stored(context, COMPLIANCE_INFO, ComplianceInfo)
    return success({"settings": {"business": {"compliance_info": stored}}})


async def set_compliance(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Change the given fields."""
    wish = await read_json(request, context.config.json_limit, _COMPLIANCE)
    check_compliance(wish)
    await _change(context, request, COMPLIANCE_INFO, wish)
    log.info("compliance information changed", extra={"by": caller.username})
    return success({})


async def show_about(context: Context, _request: web.Request, _caller: Caller) -> web.Response:
    stored = await _stored(context, PROFILE_ABOUT, About)
    return success({"settings": {"profile": {"about": {"text": "", **stored}}}})


async def set_about(context: Context, request: web.Request, caller: Caller) -> web.Response:
    wish = await read_json(request, context.config.json_limit, _ABOUT)
    required(wish.text, "text")
    check_about(wish)
    await _change(context, request, PROFILE_ABOUT, wish)
    log.info("about text changed", extra={"by": caller.username})
    return success({})


async def show_photo(context: Context, request: web.Request, _caller: Caller) -> web.Response:
    """The image, or with ``format=link`` a link to it (the same path, with a token)."""
    wanted = request.query.get("format", "")
    if wanted not in ("", "link"):
        raise ParameterInvalid("format must be link or absent")
    if wanted:
        if not await context.photos.exists():
            raise _no_photo()
        return success({"settings": {"profile": {"photo": {"link": _link(request)}}}})
    photo = await context.photos.get()
    if photo is None:
        raise _no_photo()
    return web.Response(body=photo.data, content_type=types.base_of(types.safe(photo.mime)))


async def set_photo(context: Context, request: web.Request, caller: Caller) -> web.Response:
    data = await read_body(request, PHOTO_BYTES)
    if not data:
        raise ParameterMissing("the request has no body, an image is required")
    mime = next((mime for begin, mime in _PHOTOS.items() if data.startswith(begin)), None)
    if mime is None:
        raise ParameterInvalid("the body is not a JPEG or PNG image")
    await context.photos.set(Photo(mime, data))
    log.info("profile photo changed", extra={"by": caller.username, "bytes": len(data)})
    return success({})


async def delete_photo(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """Delete the photo; 200 also if there was none."""
    await context.photos.delete()
    log.info("profile photo deleted", extra={"by": caller.username})
    return success({})


def check_profile(profile: BusinessProfile) -> None:
    """Raises ParameterInvalid for a text that is too long."""
    for name, most in _LIMITS.items():
        short(getattr(profile, name), name, most)
    if profile.websites is not None:
        if len(profile.websites) > _WEBSITES:
            raise ParameterInvalid(f"websites has more than {_WEBSITES} elements")
        for n, website in enumerate(profile.websites):
            short(website, f"websites[{n}]", _WEBSITE_CHARS)


def check_compliance(info: ComplianceInfo) -> None:
    """Raises ParameterInvalid for a text that is too long."""
    _check_texts(_given(info), "")


def check_about(about: About) -> None:
    """Raises ParameterInvalid for a text that is too long."""
    short(about.text, "text", ABOUT_CHARS)


async def _change(context: Context, request: web.Request, name: str, wish: msgspec.Struct) -> None:
    given = _given(wish)
    subject(request, ", ".join(named(given)))

    def changed(stored: Mapping[str, Any]) -> dict[str, Any]:
        return {**stored, **given}

    await context.accounts.change_setting(name, changed)


def _given(wish: msgspec.Struct) -> dict[str, Any]:
    """The fields that are present and not null."""
    fields: dict[str, Any] = msgspec.to_builtins(wish)
    return {
        name: {k: v for k, v in value.items() if v is not None}
        if isinstance(value, dict)
        else value
        for name, value in fields.items()
        if value is not None
    }


def _check_texts(fields: Mapping[str, Any], path: str) -> None:
    for name, value in fields.items():
        if isinstance(value, str):
            short(value, f"{path}{name}", _COMPLIANCE_CHARS)
        elif isinstance(value, dict):
            _check_texts(value, f"{path}{name}.")


def _link(request: web.Request) -> str:
    try:
        return str(request.url.origin().with_path(_PHOTO))
    except ValueError:  # it is made of the header Host
        raise ParameterInvalid("the Host header is not a valid host") from None


def _no_photo() -> NotFound:
    return NotFound("there is no profile photo")


_REFUSALS = (ParameterInvalid, ParameterMissing)
_BUSINESS, _INFO = "/v1/settings/business/profile", "/v1/settings/business/compliance_info"
_ABOUT_PATH, _PHOTO = "/v1/settings/profile/about", "/v1/settings/profile/photo"

ROUTES = (
    Route(
        "GET",
        _BUSINESS,
        Access.USER,
        show_profile,
        "The business's profile",
        answer=within("settings.business.profile", BusinessProfile),
    ),
    Route(
        "POST",
        _BUSINESS,
        Access.ADMIN,
        set_profile,
        "Change the given fields of the profile",
        body=BusinessProfile,
        errors=_REFUSALS,
    ),
    Route(
        "GET",
        _INFO,
        Access.USER,
        show_compliance,
        "Compliance information, which India requires of businesses",
        answer=within("settings.business.compliance_info", ComplianceInfo),
    ),
    Route(
        "POST",
        _INFO,
        Access.ADMIN,
        set_compliance,
        "Change the given fields of the compliance information",
        body=ComplianceInfo,
        errors=_REFUSALS,
    ),
    Route(
        "GET",
        _ABOUT_PATH,
        Access.USER,
        show_about,
        "The about text",
        answer=within("settings.profile.about", About),
    ),
    Route(
        "PATCH",
        _ABOUT_PATH,
        Access.ADMIN,
        set_about,
        "Change the about text: at most 139 characters",
        body=About,
        errors=_REFUSALS,
    ),
    Route(
        "GET",
        _PHOTO,
        Access.USER,
        show_photo,
        "The photo: its bytes, or with format=link a link to them",
        answer=("image/*", within("settings.profile.photo", PhotoLink)),
        errors=(NotFound, ParameterInvalid),
        query={"format": "link: answer with a link to the bytes, settings.profile.photo.link"},
    ),
    Route(
        "POST",
        _PHOTO,
        Access.ADMIN,
        set_photo,
        "Set the photo: a JPEG or PNG of at most 5 MiB",
        body="image/*",
        errors=(*_REFUSALS, BodyTooLarge),
    ),
    Route("DELETE", _PHOTO, Access.ADMIN, delete_photo, "Delete the photo"),
)

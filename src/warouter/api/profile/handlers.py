"""/v1/settings/business and /v1/settings/profile: what customers see of the business."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.audit import named, subject
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.messages.rules import required
from warouter.api.profile.fields import (
    PHOTO_BYTES,
    About,
    BusinessProfile,
    ComplianceInfo,
    PhotoLink,
    check_about,
    check_compliance,
    check_profile,
    given,
    image_type,
)
from warouter.api.route import Access, Route
from warouter.errors import NotFound, ParameterInvalid, ParameterMissing
from warouter.http.envelope import success
from warouter.http.request import read_body, read_json
from warouter.media import types
from warouter.store.account.photo import Photo

log = logging.getLogger(__name__)

_PROFILE = msgspec.json.Decoder(BusinessProfile, strict=False)
_COMPLIANCE = msgspec.json.Decoder(ComplianceInfo, strict=False)
_ABOUT = msgspec.json.Decoder(About)
_EMPTY_PROFILE = {"address": "", "description": "", "email": "", "vertical": "", "websites": []}


async def show_profile(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    profile = await context.profile(caller.number).profile()
    return success({"settings": {"business": {"profile": {**_EMPTY_PROFILE, **profile}}}})


async def set_profile(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Change the given fields; an empty value clears one."""
    wish = await read_json(request, context.config.json_limit, _PROFILE)
    check_profile(wish)
    await context.profile(caller.number).change_profile(_told(request, wish))
    log.info("business profile changed", extra=caller.logged)
    return success({})


async def show_compliance(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    info = await context.profile(caller.number).compliance()
    return success({"settings": {"business": {"compliance_info": info}}})


async def set_compliance(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Change the given fields."""
    wish = await read_json(request, context.config.json_limit, _COMPLIANCE)
    check_compliance(wish)
    await context.profile(caller.number).change_compliance(_told(request, wish))
    log.info("compliance information changed", extra=caller.logged)
    return success({})


async def show_about(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    about = await context.profile(caller.number).about()
    return success({"settings": {"profile": {"about": {"text": "", **about}}}})


async def set_about(context: Context, request: web.Request, caller: Caller) -> web.Response:
    wish = await read_json(request, context.config.json_limit, _ABOUT)
    text = required(wish.text, "text")
    check_about(wish)
    _told(request, wish)
    await context.profile(caller.number).change_about(text)
    log.info("about text changed", extra=caller.logged)
    return success({})


async def show_photo(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """The image, or with ``format=link`` a link to it: the same path, with a token, or Meta's."""
    wanted = request.query.get("format", "")
    if wanted not in ("", "link"):
        raise ParameterInvalid("format must be link or absent")
    if wanted:
        link = await context.profile(caller.number).photo_link()
        if link is None:
            raise _no_photo()
        return success({"settings": {"profile": {"photo": {"link": link or _link(request)}}}})
    photo = await context.profile(caller.number).photo()
    if photo is None:
        raise _no_photo()
    return web.Response(body=photo.data, content_type=types.base_of(types.safe(photo.mime)))


async def set_photo(context: Context, request: web.Request, caller: Caller) -> web.Response:
    data = await read_body(request, PHOTO_BYTES)
    if not data:
        raise ParameterMissing("the request has no body, an image is required")
    mime = image_type(data)
    if mime is None:
        raise ParameterInvalid("the body is not a JPEG or PNG image")
    await context.profile(caller.number).set_photo(Photo(mime, data))
    log.info("profile photo changed", extra={**caller.logged, "bytes": len(data)})
    return success({})


async def delete_photo(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """Delete the photo; 200 also if there was none."""
    await context.profile(caller.number).delete_photo()
    log.info("profile photo deleted", extra=caller.logged)
    return success({})


def _told(request: web.Request, wish: msgspec.Struct) -> dict[str, Any]:
    """The fields that are given, of which the audit log has the names."""
    fields = given(wish)
    subject(request, ", ".join(named(fields)))
    return fields


def _link(request: web.Request) -> str:
    try:
        return str(request.url.origin().with_path(_PHOTO))
    except ValueError:  # the URL is made of the header Host
        raise ParameterInvalid("the Host header is not a valid host") from None


def _no_photo() -> NotFound:
    return NotFound("there is no profile photo")


_BUSINESS, _INFO = "/v1/settings/business/profile", "/v1/settings/business/compliance_info"
_ABOUT_PATH, _PHOTO = "/v1/settings/profile/about", "/v1/settings/profile/photo"

ROUTES = (
    Route(
        "GET",
        _BUSINESS,
        Access.USER,
        Scope.READ,
        show_profile,
        answer=within("settings.business.profile", BusinessProfile),
    ),
    Route("POST", _BUSINESS, Access.ADMIN, Scope.SETTINGS, set_profile, body=BusinessProfile),
    Route(
        "GET",
        _INFO,
        Access.USER,
        Scope.READ,
        show_compliance,
        answer=within("settings.business.compliance_info", ComplianceInfo),
    ),
    Route("POST", _INFO, Access.ADMIN, Scope.SETTINGS, set_compliance, body=ComplianceInfo),
    Route(
        "GET",
        _ABOUT_PATH,
        Access.USER,
        Scope.READ,
        show_about,
        answer=within("settings.profile.about", About),
    ),
    Route("PATCH", _ABOUT_PATH, Access.ADMIN, Scope.SETTINGS, set_about, body=About),
    Route(
        "GET",
        _PHOTO,
        Access.USER,
        Scope.READ,
        show_photo,
        answer=("image/*", within("settings.profile.photo", PhotoLink)),
        errors=(NotFound, ParameterInvalid),
        query={"format": "link: answer with a link to the bytes, settings.profile.photo.link"},
    ),
    Route(
        "POST",
        _PHOTO,
        Access.ADMIN,
        Scope.SETTINGS,
        set_photo,
        body="image/*",
        errors=(ParameterMissing,),
    ),
    Route("DELETE", _PHOTO, Access.ADMIN, Scope.SETTINGS, delete_photo, errors=(ParameterInvalid,)),
)

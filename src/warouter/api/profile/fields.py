"""The fields of the profile as v1 has them, and their limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from warouter.api.messages.rules import short
from warouter.errors import ParameterInvalid

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
    _check_texts(given(info), "")


def check_about(about: About) -> None:
    """Raises ParameterInvalid for a text that is too long."""
    short(about.text, "text", ABOUT_CHARS)


def given(wish: msgspec.Struct) -> dict[str, Any]:
    """The fields that are present and not null."""
    return present(msgspec.to_builtins(wish))


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not null, of an object in them likewise."""
    return {
        name: {k: v for k, v in value.items() if v is not None}
        if isinstance(value, dict)
        else value
        for name, value in fields.items()
        if value is not None
    }


def image_type(data: bytes) -> str | None:
    """``image/jpeg`` or ``image/png``, None for any other content."""
    return next((mime for begin, mime in _PHOTOS.items() if data.startswith(begin)), None)


def _check_texts(fields: Mapping[str, Any], path: str) -> None:
    for name, value in fields.items():
        if isinstance(value, str):
            short(value, f"{path}{name}", _COMPLIANCE_CHARS)
        elif isinstance(value, dict):
            _check_texts(value, f"{path}{name}.")

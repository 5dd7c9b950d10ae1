"""The profile of the number, and its photo, which a URL shows to everybody.

Handlers as in ``number_node``. Limits and lines of business are those of Meta's pages and of Meta's
OpenAPI document.
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.lab.simulator.cloud.graph.number_node import SUCCESS, Given
from warouter.lab.simulator.cloud.graph.uploads import UploadSessions

PICTURE = "/v/profile_picture"
_PICTURE_BYTES = 5 << 20
_TEXTS = {"about": 139, "address": 256, "description": 512, "email": 128}
_FIELDS = ("messaging_product", *_TEXTS, "profile_picture_url", "vertical", "websites")
_PARAMETERS = ("messaging_product", *_TEXTS, "profile_picture_handle", "vertical", "websites")
_VERTICALS = (
    *("UNDEFINED", "OTHER", "AUTO", "BEAUTY", "APPAREL", "EDU", "ENTERTAIN", "EVENT_PLAN"),
    *("FINANCE", "GROCERY", "GOVT", "HOTEL", "HEALTH", "NONPROFIT", "PROF_SERVICES", "RETAIL"),
    *("TRAVEL", "RESTAURANT", "NOT_A_BIZ", "ALCOHOL", "ONLINE_GAMBLING", "PHYSICAL_GAMBLING"),
    "OTC_DRUGS",
)
_WEBSITES, _WEBSITE_CHARS = 2, 256


class ProfilePhoto(NamedTuple):
    """An answer that is the photo."""

    mime: str
    content: bytes


class ProfileEdge:
    """The edge ``whatsapp_business_profile``; ``base`` is where the photo's URL begins."""

    def __init__(self, uploads: UploadSessions) -> None:
        self._uploads = uploads
        self._fields: Given = {"vertical": "UNDEFINED"}
        self._picture: tuple[str, ProfilePhoto] | None = None
        self.base = ""

    def fields(self, given: Given) -> Given:
        """The fields that are asked for and set; without a question the product alone."""
        asked = [name for name in str(given.get("fields", "")).split(",") if name]
        if unknown := [name for name in asked if name not in _FIELDS]:
            raise GraphError(PARAMETER, f"Tried accessing nonexisting field ({unknown[0]})")
        known = {"messaging_product": "whatsapp"} | self._fields
        if self._picture is not None:
            known["profile_picture_url"] = f"{self.base}{PICTURE}?key={self._picture[0]}"
        shown = (*asked, "messaging_product")
        return {"data": [{name: value for name, value in known.items() if name in shown and value}]}

    def change(self, given: Given) -> Given:
        """Change these fields, if all of them are good."""
        if given.get("messaging_product") != "whatsapp":
            raise GraphError(PARAMETER, "The parameter messaging_product is required.")
        for name, value in given.items():
            if name not in _PARAMETERS:
                raise GraphError(PARAMETER, f"Unexpected parameter {name}")
            if problem := _problem(name, value):
                raise GraphError(PARAMETER, problem)
        changed = {name: value for name, value in given.items() if name != "messaging_product"}
        if handle := changed.pop("profile_picture_handle", None):
            self._picture = secrets.token_urlsafe(12), self._uploaded(handle)
        self._fields |= changed
        self._fields["vertical"] = self._fields["vertical"] or "UNDEFINED"
        return SUCCESS

    def picture(self, key: str) -> ProfilePhoto:
        """The photo by its URL; FileNotFoundError if there is another one by now."""
        if self._picture is None or self._picture[0] != key:
            raise FileNotFoundError
        return self._picture[1]

    def _uploaded(self, handle: str) -> ProfilePhoto:
        found = self._uploads.find(handle)
        if found is None:
            raise GraphError(PARAMETER, "Param profile_picture_handle is not a valid handle.")
        if not found.mime.startswith("image/") or len(found.content) > _PICTURE_BYTES:
            raise GraphError(PARAMETER, "The profile picture must be an image of at most 5 MB.")
        return ProfilePhoto(*found)


def _problem(name: str, value: Any) -> str:
    """Why a parameter is not good, "" if it is."""
    if name == "websites":
        return _websites_problem(value)
    if not isinstance(value, str):
        return f"Param {name} must be a string."
    if name == "about" and not value:
        return "Param about must be at least 1 characters long."
    if (most := _TEXTS.get(name)) is not None and len(value) > most:
        return f"Param {name} must be at most {most} characters long."
    if name == "email" and value and "@" not in value:
        return "Param email must be a valid email address."
    if name == "vertical" and value and value not in _VERTICALS:
        return f"Param vertical must be one of {{{', '.join(_VERTICALS)}}}"
    return ""


def _websites_problem(value: Any) -> str:
    if not isinstance(value, list) or len(value) > _WEBSITES:
        return f"Param websites must be an array of at most {_WEBSITES} URLs."
    for url in value:
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            return "Param websites must hold URLs that begin with http:// or https://"
        if len(url) > _WEBSITE_CHARS:
            return f"Param websites must hold at most {_WEBSITE_CHARS} characters each."
    return ""

"""The webhook as a client of 360dialog's dialect registers it: its header fields and form. Pure.

It stands in the stored `webhooks` of settings/application beside the URL, and holds for the URL
that it was registered with alone: whoever sets another one sends no credential there. Clients of
settings/application neither set nor see it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

MOST_HEADERS = 10
HEADER_BYTES = 1024  # of one field: its name and its value
REGISTERED = "registered"  # in the stored `webhooks`

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~]*")
# What makes up the request, and what signs it.
_OURS = frozenset(
    {"host", "connection", "transfer-encoding", "keep-alive", "expect", "upgrade", "te", "trailer"}
)
_OURS_FROM = ("content-", "webhook-")


class RegisteredWebhook(msgspec.Struct, frozen=True):
    """``headers`` go with each callback to ``url``, and each callback carries one element.

    The values may be credentials: no ``repr`` shows them.
    """

    url: str
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        check_headers(self.headers)

    def __repr__(self) -> str:
        return "RegisteredWebhook(...)"


def check_headers(headers: Mapping[str, str]) -> None:
    """ValueError, with the path and without a value, for header fields that no callback carries."""
    if len(headers) > MOST_HEADERS:
        raise ValueError(f"headers has {len(headers)} elements, at most {MOST_HEADERS} are allowed")
    seen = set[str]()
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError("headers has a name that no header field can have")
        if len(name) + len(value) > HEADER_BYTES:
            raise ValueError(
                f"headers.{name[:64]} is longer than {HEADER_BYTES} bytes with its name"
            )
        if not _VALUE.fullmatch(value):
            raise ValueError(f"headers.{name} must be printable ASCII")
        plain = name.lower()
        if plain in _OURS or plain.startswith(_OURS_FROM):
            raise ValueError(f"headers.{name} is a field that warouter sets itself")
        if plain in seen:
            raise ValueError(f"headers.{name} is given twice")
        seen.add(plain)


def registered(stored: Mapping[str, Any]) -> RegisteredWebhook | None:
    """The one in stored settings, None if there is none; ValueError for what cannot be one."""
    webhooks = stored.get("webhooks")
    found = webhooks.get(REGISTERED) if isinstance(webhooks, Mapping) else None
    if found is None:
        return None
    try:
        return msgspec.convert(found, RegisteredWebhook)
    except msgspec.ValidationError as error:
        raise ValueError(f"webhooks.{REGISTERED}: {error}") from None


def with_registered(stored: Mapping[str, Any], webhook: RegisteredWebhook) -> dict[str, Any]:
    """The stored settings with this webhook, whose URL is in force."""
    return _with(stored, {"url": webhook.url, REGISTERED: msgspec.to_builtins(webhook)})


def without_webhook(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The stored settings without a URL, and so without a registered webhook."""
    return _with(stored, {"url": ""})


def _with(stored: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    webhooks = stored.get("webhooks")
    left = dict(webhooks) if isinstance(webhooks, Mapping) else {}
    left.pop(REGISTERED, None)
    return {**stored, "webhooks": {**left, **changed}}

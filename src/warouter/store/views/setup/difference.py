"""Settings of the API as fields of a form: what differs, and the PATCH that brings it about.

Secrets have no field here, nor what the API accepts and never keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, get_args

import msgspec

from warouter.app_settings import MediaType, merge
from warouter.store.views.setup.application import HIDDEN, Field

_FIXED = (
    "pass_through",  # it cannot be turned on
    "db_garbagecollector_enable",  # another name of garbagecollector_enable.messages
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "log_level": ("debug", "info", "warning", "error"),
    "webhooks.max_concurrent_requests": ("6", "12", "18", "24"),
}
MEDIA_TYPES: tuple[str, ...] = get_args(MediaType)


class ToChange(NamedTuple):
    """A field of the form: ``kind`` is text, number or choice, with its ``choices``."""

    name: str
    kind: str
    choices: tuple[str, ...]
    hint: str


class SettingChange(NamedTuple):
    """``old`` and ``new`` as people read them; ``value`` is what the API gets."""

    name: str
    old: str
    new: str
    value: Any


def text_of(value: Any) -> str:
    """A value as its field has it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def fields_to_change(fields: Iterable[Field]) -> list[ToChange]:
    found = []
    for each in fields:
        if each.secret or each.name in _FIXED:
            continue
        if isinstance(each.value, bool):
            found.append(ToChange(each.name, "choice", ("on", "off"), ""))
        elif each.name in _CHOICES:
            found.append(ToChange(each.name, "choice", _CHOICES[each.name], ""))
        elif isinstance(each.value, list):
            found.append(ToChange(each.name, "text", (), f"of {', '.join(MEDIA_TYPES)}"))
        else:
            kind = "number" if isinstance(each.value, int) else "text"
            found.append(ToChange(each.name, kind, (), ""))
    return found


def differences(fields: Iterable[Field], wished: Mapping[str, str]) -> list[SettingChange]:
    """Find what of ``wished`` is not set so; ValueError with a sentence for what cannot be."""
    fields = list(fields)
    now = {each.name: each.value for each in fields}
    found = []
    for each in fields_to_change(fields):
        text = wished.get(each.name)
        if text is None:
            continue
        value = _value(each.name, text.strip(), now[each.name])
        if value != now[each.name]:
            if HIDDEN in text:
                raise ValueError(f"{each.name}: type it whole; what is hidden is not known.")
            found.append(SettingChange(each.name, text_of(now[each.name]), text_of(value), value))
    try:
        merge({}, patch_of(found))
    except msgspec.ValidationError as error:
        raise ValueError(f"That cannot be set: {error}.") from error
    return found


def patch_of(found: Iterable[SettingChange]) -> dict[str, Any]:
    """The body for the API."""
    body: dict[str, Any] = {}
    for each in found:
        *path, name = each.name.split(".")
        inner = body
        for part in path:
            inner = inner.setdefault(part, {})
        inner[name] = each.value
    return body


def _value(name: str, text: str, now: Any) -> Any:
    """The text as a value of the kind that is set now."""
    if isinstance(now, bool):
        if text not in ("on", "off"):
            raise ValueError(f"{name} must be on or off.")
        return text == "on"
    if isinstance(now, int):
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise ValueError(f"{name} must be a whole number.")
        return int(text)
    if isinstance(now, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text

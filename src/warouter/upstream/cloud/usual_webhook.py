"""The webhook that nearly always comes: statuses of our numbers, nothing else. Pure.

One pass finds what the general reading (``elements``) finds level by level; whatever is not quite
as expected is left to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec
from msgspec import Raw

_NONE = Raw()


class _Metadata(msgspec.Struct, gc=False):
    phone_number_id: str


class _Value(msgspec.Struct, gc=False):
    metadata: _Metadata
    statuses: list[Raw]
    contacts: list[Raw] = []
    messages: Raw = _NONE
    errors: Raw = _NONE


class _Change(msgspec.Struct, gc=False):
    field: Literal["messages"]
    value: _Value


class _Entry(msgspec.Struct, gc=False):
    changes: list[_Change]


class _Webhook(msgspec.Struct, gc=False):
    object: Literal["whatsapp_business_account"]
    entry: list[_Entry]


_webhook = msgspec.json.Decoder(_Webhook).decode


class StatusesOfNumber(NamedTuple):
    """The statuses and the contacts of one change, each JSON."""

    statuses: list[Raw]
    contacts: list[Raw]
    number: int


def statuses_of(body: bytes, owned: Mapping[str, int]) -> list[StatusesOfNumber] | None:
    """The changes of a webhook that has nothing but statuses of numbers that are ``owned``, by
    their phone number ids; None if it may have something else.
    """
    try:
        webhook = _webhook(body)
    except (ValueError, RecursionError):
        return None
    values = list(_values(webhook))
    for value in values:
        if value.metadata.phone_number_id not in owned or value.messages or value.errors:
            return None
    return [
        StatusesOfNumber(value.statuses, value.contacts, owned[value.metadata.phone_number_id])
        for value in values
    ]


def _values(webhook: _Webhook) -> Iterator[_Value]:
    for entry in webhook.entry:
        for change in entry.changes:
            yield change.value

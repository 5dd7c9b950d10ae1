"""A status of a webhook in its v1 form: our id, our number, v1 errors. Pure.

Which of them v1 hears, and in which order, is decided elsewhere (``flow.statuses``).
"""

from __future__ import annotations

from typing import Any

import msgspec

from warouter.codes import error_object
from warouter.flow.statuses import FAILED, RANKS
from warouter.upstream.cloud import lenient
from warouter.upstream.cloud.meanings import UNREACHABLE
from warouter.upstream.cloud.readers import time_of
from warouter.upstream.cloud.reported import errors_of

# Names that v1 has. Meta knows more: ``played`` tells of a voice message.
NAMES = frozenset((*RANKS, FAILED, "deleted", "warning"))

_UNKNOWN = 500


class _GivenStatus(msgspec.Struct, gc=False):
    """An element of statuses[], as far as it is read; what v1 shows too stays as it came."""

    status: Any = None
    timestamp: Any = None
    conversation: msgspec.Raw = msgspec.Raw()
    pricing: msgspec.Raw = msgspec.Raw()
    errors: msgspec.Raw = msgspec.Raw()


class _Price(msgspec.Struct, gc=False):
    billable: bool = False
    category: str = ""
    type: str = ""


class _Priced(msgspec.Struct, gc=False):
    status: str = ""
    pricing: _Price | None = None


class _To(msgspec.Struct, gc=False):
    recipient_id: str


class _Shown(msgspec.Struct, gc=False):
    """A status in its v1 form."""

    id: str
    recipient_id: str
    message: _To
    type: str
    status: str
    timestamp: str
    conversation: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    pricing: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    errors: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET


_priced = msgspec.json.Decoder(_Priced).decode
_given = msgspec.json.Decoder(_GivenStatus).decode
_encode = msgspec.json.Encoder().encode


class V1Status(msgspec.Struct, frozen=True, gc=False):
    """``payload`` is the element of statuses[], ``timestamp`` unix s, 0 if Meta's was no time."""

    status: str
    timestamp: int
    payload: bytes


def to_v1(raw: bytes, message_id: str, recipient: str) -> V1Status | None:
    """The v1 form of an element of statuses[]; None if v1 has no such status.

    ``message_id`` is the v1 id (27 letters), ``recipient`` the v1 wa_id of our message, whatever
    the element says of either.
    """
    try:
        given = _given(raw)
    except (ValueError, RecursionError):  # it is not as ``elements`` keeps them
        return None
    name = given.status
    if not isinstance(name, str) or name not in NAMES:
        return None
    timestamp = time_of(given.timestamp)
    made = _Shown(message_id, recipient, _To(recipient), "message", name, str(timestamp))
    if _is_object(given.conversation):
        made.conversation = given.conversation
    if _is_object(given.pricing):
        made.pricing = given.pricing
    errors = errors_of(lenient.value(given.errors)) if given.errors else []
    if name == FAILED:
        made.errors = errors or [error_object(_UNKNOWN)]
    elif errors:
        made.errors = errors
    return V1Status(name, timestamp, _encode(made))


def billed(raw: bytes) -> tuple[str, str] | None:
    """Category and type of what Meta charges, as an element of statuses[] says; None if nothing.

    Of one message ``sent`` has it, and either ``delivered`` or ``read`` once more: those count, as
    what was not delivered is not charged.
    """
    if b'"pricing"' not in raw:
        return None
    try:
        said = _priced(raw)
    except (ValueError, RecursionError):
        return None
    price = said.pricing
    if price is None or not price.billable or said.status not in ("delivered", "read"):
        return None
    return price.category, price.type


def shows_unreachable(raw: bytes) -> bool:
    """True if the errors in an element of statuses[] say that nobody can be reached there."""
    errors = lenient.content(raw).get("errors")
    codes = (
        [e.get("code") for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []
    )
    return UNREACHABLE in codes


def _is_object(json: msgspec.Raw) -> bool:
    return bytes(json).startswith(b"{")

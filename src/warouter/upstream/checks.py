"""Checks of upstream events before they are stored, so that none breaks a callback. Pure.

The JSON of an event goes into the journal, and to the webhook, as it came. So it must be whole,
UTF-8, and what every receiver reads of it must be there, as strings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec

from warouter.upstream.protocol import Event

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Time = Annotated[str, msgspec.Meta(min_length=1, max_length=16)]  # digits, see _is_digits


class _EventTime(msgspec.Struct, gc=False):
    id: _Name
    timestamp: _Time


class _Status(_EventTime, gc=False):
    status: _Name


class _Inbound(_EventTime, gc=False, rename={"sender": "from"}):
    sender: _Name
    type: _Name


class _EventError(msgspec.Struct, gc=False):
    code: int
    title: _Name


class _EventContact(msgspec.Struct, gc=False):
    wa_id: _Name


_PAYLOADS: Mapping[str, Callable[[bytes], _EventTime]] = {
    "status": msgspec.json.Decoder(_Status).decode,
    "inbound": msgspec.json.Decoder(_Inbound).decode,
}
_ERROR = msgspec.json.Decoder(_EventError).decode
_CONTACT = msgspec.json.Decoder(_EventContact).decode
_SHORTEST = 5  # digits of a wa_id


def problem(event: Event) -> str | None:
    """Why the event cannot become a callback, or None."""
    kind, key, recipient = event.kind, event.key, event.recipient
    decode = _PAYLOADS.get(kind)
    if decode is None:
        return f"its kind is not known: {kind}"
    if kind == "status" and ":" not in key:
        return "its key names no message"
    if not key.isprintable():
        return "its key has control characters"
    if not recipient:
        return _problem_of_nobodys(event)
    if len(recipient) < _SHORTEST or not (recipient.isascii() and recipient.isdigit()):
        return "its recipient is no wa_id"
    return _problem(decode, event.payload) or (
        _problem(_CONTACT, event.contact) if event.contact else None
    )


def _problem_of_nobodys(event: Event) -> str | None:
    """An error out of band has no recipient."""
    if event.kind == "status":
        return "it has no recipient"
    return _problem(_ERROR, event.payload) or (
        _problem(_CONTACT, event.contact) if event.contact else None
    )


def _is_digits(text: str) -> bool:
    """Asked here and not by a pattern where it is decoded, which takes as long as all the rest."""
    return text.isascii() and text.isdigit()


def _problem(decode: Callable[[bytes], object], json: bytes) -> str | None:
    try:
        found = decode(json)
        if not json.isascii():
            json.decode()  # unknown keys are skipped without a look at their bytes
        if isinstance(found, _EventTime) and not _is_digits(found.timestamp):
            return "its timestamp is no number"
    except RecursionError:
        return "its JSON is nested too deep"
    except ValueError as error:  # msgspec's errors are some, and UnicodeDecodeError is
        return str(error)
    return None

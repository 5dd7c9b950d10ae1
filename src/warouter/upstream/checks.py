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
_Time = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,16}\Z")]


class _Status(msgspec.Struct, gc=False):
    id: _Name
    status: _Name
    timestamp: _Time


class _Inbound(msgspec.Struct, gc=False, rename={"sender": "from"}):
    sender: _Name
    id: _Name
    timestamp: _Time
    type: _Name


class _Error(msgspec.Struct, gc=False):
    code: int
    title: _Name


class _Contact(msgspec.Struct, gc=False):
    wa_id: _Name


_PAYLOADS: Mapping[str, Callable[[bytes], object]] = {
    "status": msgspec.json.Decoder(_Status).decode,
    "inbound": msgspec.json.Decoder(_Inbound).decode,
}
_ERROR = msgspec.json.Decoder(_Error).decode
_CONTACT = msgspec.json.Decoder(_Contact).decode


def problem(event: Event) -> str | None:
    """Why the event cannot become a callback, or None."""
    if event.kind not in _PAYLOADS:
        return f"its kind is not known: {event.kind}"
    if event.kind == "status" and ":" not in event.key:
        return "its key names no message"
    if not event.key.isprintable():
        return "its key has control characters"
    if event.recipient:
        decode = _PAYLOADS[event.kind]
    elif event.kind == "inbound":
        decode = _ERROR  # out of band: nobody's
    else:
        return "it has no recipient"
    return _problem(decode, event.payload) or (
        _problem(_CONTACT, event.contact) if event.contact else None
    )


def _problem(decode: Callable[[bytes], object], json: bytes) -> str | None:
    try:
        decode(json)
        if not json.isascii():
            json.decode()  # unknown keys are skipped without a look at their bytes
    except RecursionError:
        return "its JSON is nested too deep"
    except ValueError as error:  # msgspec's errors are some, and UnicodeDecodeError is
        return str(error)
    return None

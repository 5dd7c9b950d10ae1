"""What of the journaled events the business wants to hear, by its settings. Pure.

The journal keeps them all the same.
"""

from __future__ import annotations

from typing import Any

import msgspec

from warouter.app_settings import ApplicationSettings
from warouter.cluster.delivery import STATUS

_PRICING = ("conversation", "pricing")
_object = msgspec.json.Decoder(dict[str, Any])


class _System(msgspec.Struct, frozen=True):
    type: str = ""


class _Message(msgspec.Struct, frozen=True):
    type: str = ""
    system: _System = _System()


_message = msgspec.json.Decoder(_Message)


def wanted(kind: int, key: str, payload: bytes | memoryview, settings: ApplicationSettings) -> bool:
    """Whether a callback is made of an event. ``key`` of a status is ``id:status...``."""
    if kind == STATUS:
        return settings.reports(key.split(":")[1])
    match _system_type(bytes(payload)):
        case "user_changed_number":
            return settings.notify_user_change_number
        case "user_identity_changed":
            return settings.show_security_notifications
        case _:
            return True


def as_wanted(kind: int, payload: bytes, settings: ApplicationSettings) -> bytes:
    """The payload as it goes out: without prices where the settings say so.

    What is no JSON object travels as it is: whoever made it has to answer for it.
    """
    if kind != STATUS or not settings.webhook_payload_conversation_pricingmodel_disabled:
        return payload
    try:
        status = _object.decode(payload)
    except msgspec.DecodeError:
        return payload
    return msgspec.json.encode({k: v for k, v in status.items() if k not in _PRICING})


def _system_type(payload: bytes) -> str:
    if b'"system"' not in payload:
        return ""
    try:
        message = _message.decode(payload)
    except msgspec.DecodeError:
        return ""
    return message.system.type if message.type == "system" else ""

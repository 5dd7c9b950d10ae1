"""Decides which events the webhook gets, and in which form, by the application's settings. Pure.

The journal keeps every event as it came; a switch that is off hides it, or a part of it, on the way
out. So a switch that is turned on again holds for what is delivered from then on.
"""

from __future__ import annotations

import msgspec

from warouter.app_settings import SWITCHED, ApplicationSettings
from warouter.kinds import STATUS

# Types of system messages, and the switch that lets them through.
_NUMBER_CHANGES = frozenset({"user_changed_number", "customer_changed_number"})
_IDENTITY_CHANGES = frozenset({"user_identity_changed", "customer_identity_changed"})
_BILLING = ("conversation", "pricing")


class _System(msgspec.Struct, frozen=True):
    type: str = ""


class _ShownMessage(msgspec.Struct, frozen=True):
    type: str = ""
    system: _System = _System()


_MESSAGE = msgspec.json.Decoder(_ShownMessage)


def shows_all(kind: int, settings: ApplicationSettings) -> bool:
    """True if each event of this kind is wanted, as it came."""
    changed = settings.webhook_payload_conversation_pricingmodel_disabled
    return kind == STATUS and not changed and all(map(settings.reports, SWITCHED))


def shown(kind: int, key: str, payload: bytes, settings: ApplicationSettings) -> bytes | None:
    """The payload for the webhook; None if the event is not wanted.

    ``key`` is the event's: ``<message id>:<status>...`` for a status.
    """
    if kind != STATUS:
        return payload if _wanted(payload, settings) else None
    if not settings.reports(key.split(":")[1]):
        return None
    if settings.webhook_payload_conversation_pricingmodel_disabled:
        return _without_billing(payload)
    return payload


def _wanted(payload: bytes, settings: ApplicationSettings) -> bool:
    """True if an inbound message is delivered: all are, except some that the system writes."""
    if b'"system"' not in payload:
        return True
    try:
        message = _MESSAGE.decode(payload)
    except msgspec.DecodeError:
        return True  # a shape that is not known here: the business may know it
    if message.type != "system":
        return True
    if message.system.type in _NUMBER_CHANGES:
        return settings.notify_user_change_number
    if message.system.type in _IDENTITY_CHANGES:
        return settings.show_security_notifications
    return True


def _without_billing(payload: bytes) -> bytes:
    if not any(b'"%s"' % name.encode() in payload for name in _BILLING):
        return payload
    try:
        fields = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return payload  # whoever made it has to answer for it
    return msgspec.json.encode({k: v for k, v in fields.items() if k not in _BILLING})

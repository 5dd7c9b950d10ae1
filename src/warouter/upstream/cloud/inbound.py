"""An inbound message of a webhook in its v1 form. Pure.

Most types are v1's: what such a message holds travels on untouched, new keys too. A type that v1
does not know becomes ``unknown`` with error 501. Ids of messages of ours, which the customer quotes
or reacts to, become v1 ids; all others are Meta's and stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from warouter.codes import error_object
from warouter.kinds import INBOUND, STATUS
from warouter.upstream.cloud import lenient
from warouter.upstream.cloud.batch import LONGEST_KEY
from warouter.upstream.cloud.handles import MEDIA, undownloaded
from warouter.upstream.cloud.parties import number_of, word_of
from warouter.upstream.cloud.readers import time_of
from warouter.upstream.cloud.reported import error_of, errors_of, named

_UNSUPPORTED = 501
_ONLY_IDENTITY = "user_changed_user_id"
_SYSTEM_TYPES = {
    "customer_changed_number": "user_changed_number",
    "customer_identity_changed": "user_identity_changed",
}
_encode = msgspec.json.Encoder().encode

Message = dict[str, Any]


class V1Inbound(NamedTuple):
    """``kind`` is that of the event: a message that its sender deleted becomes a status, whose
    event has the ``key`` given here; that of all others is the element's.

    ``payload`` is the element of messages[], statuses[] or errors[], ``contact`` that of
    contacts[] or empty, ``media`` the handles by place, as ``media.inbound_media`` has it.
    """

    payload: bytes
    contact: bytes
    media: dict[str, str]
    kind: int = INBOUND
    key: str = ""


def to_v1(
    raw: bytes, contact: bytes, wa_id: str, our_ids: Mapping[str, str] = {}
) -> V1Inbound | None:
    """The v1 form of an element of messages[], None if it is nothing that v1 hears of.

    ``wa_id`` is what v1 sees of the sender. Without one the element is one of errors[], which has
    no id; a message of nobody is nothing that v1 hears of.
    ``our_ids`` are the v1 ids of those wamids in ``mentioned`` that are of messages of ours.
    """
    message = lenient.content(raw)
    if not wa_id:
        return None if "id" in message else V1Inbound(_encode(error_of(message)), b"", {})
    if message.get("type") == "revoke" and (deleted := _deleted(message, wa_id)):
        return deleted
    if message.get("type") == "system" and _object(message, "system").get("type") == _ONLY_IDENTITY:
        return None
    given = message.get("errors")
    message = _addressed(message, wa_id, our_ids)
    kind = message["type"]
    shown = _SHAPES[kind](message) if kind in _SHAPES else _unknown(message, given)
    media: dict[str, str] = {}
    if kind in MEDIA:
        shown, media = undownloaded(shown)
    return V1Inbound(_encode(shown), _contact(contact, wa_id, message), media)


def mentioned(raw: bytes) -> list[str]:
    """The wamids in a message that may be of messages of ours: quoted, or reacted to."""
    if b'"context"' not in raw and b'"reaction"' not in raw:
        return []
    message = lenient.content(raw)
    quoted = word_of(_object(message, "context"), "id")
    reacted = word_of(_object(message, "reaction"), "message_id")
    return [wamid for wamid in dict.fromkeys((quoted, reacted)) if wamid]


def _addressed(message: Message, wa_id: str, our_ids: Mapping[str, str]) -> Message:
    """The message with v1's common fields, v1 ids and v1 errors."""
    echo = message.pop("echo", None)
    addressed = {
        "from": wa_id,
        "id": message.get("id"),
        "timestamp": str(time_of(message.get("timestamp"))),
        "type": str(message.get("type")),
    }
    if isinstance(echo, bool):  # the business said it, elsewhere
        addressed |= {"from": number_of(message.get("from")), "to": wa_id}
        addressed |= {"echo": True} if echo else {}
    addressed |= {key: found for key, found in message.items() if key not in addressed}
    for part, name in (("context", "id"), ("reaction", "message_id")):
        found = addressed.get(part)
        if not isinstance(found, dict):
            addressed.pop(part, None)
        elif isinstance(found.get(name), str):
            addressed[part] = found | {name: our_ids.get(found[name], found[name])}
    if errors := errors_of(addressed.pop("errors", None)):
        addressed["errors"] = errors
    return addressed


def _as_it_is(message: Message) -> Message:
    return message


def _contacts(message: Message) -> Message:
    cards = message.get("contacts")
    if not isinstance(cards, list):
        return message
    return message | {"contacts": [_card(card) for card in cards]}


def _card(card: Any) -> Any:
    """v1's phones all have a wa_id, an empty one if nobody has WhatsApp there, and receivers read
    it unasked; Meta leaves it out then.
    """
    phones = card.get("phones") if isinstance(card, dict) else None
    if not isinstance(phones, list):
        return card
    filled = [p | {"wa_id": p.get("wa_id") or ""} if isinstance(p, dict) else p for p in phones]
    return card | {"phones": filled}


def _unknown(message: Message, given: object) -> Message:
    """Several of Meta's own codes say why there is nothing to be seen: v1 has one for all."""
    errors = given if isinstance(given, list) else []
    told = [
        error_object(_UNSUPPORTED, "", named(error)) for error in errors if isinstance(error, dict)
    ]
    return message | {"type": "unknown", "errors": told or [error_object(_UNSUPPORTED)]}


def _system(message: Message) -> Message:
    """Both names of the new number: the first was v1's, and is that of old webhooks."""
    system = {"body": ""} | _object(message, "system")
    kind = word_of(system, "type")
    system["type"] = _SYSTEM_TYPES.get(kind, kind)
    if number := number_of(system.get("wa_id")) or number_of(system.get("new_wa_id")):
        system |= {"new_wa_id": number, "wa_id": number}
    message = message | {"system": system}
    if system["type"] == "user_identity_changed" and (hash := word_of(system, "identity")):
        since = int(message["timestamp"])
        message["identity"] = {"acknowledged": False, "created_timestamp": since, "hash": hash}
    return message


_SHAPES: dict[str, Callable[[Message], Message]] = {
    "text": _as_it_is,
    "location": _as_it_is,
    "contacts": _contacts,
    "button": _as_it_is,
    "order": _as_it_is,
    "interactive": _as_it_is,
    "reaction": _as_it_is,
    "ephemeral": _as_it_is,
    "system": _system,
    **dict.fromkeys(MEDIA, _as_it_is),
}


def _deleted(message: Message, wa_id: str) -> V1Inbound | None:
    """The status of the message that its sender took back; None if it names none."""
    original = word_of(_object(message, "revoke"), "original_message_id")
    timestamp = str(time_of(message.get("timestamp")))
    key = f"{original}:deleted:{timestamp}"
    if not original or not original.isprintable() or ":" in original or len(key) > LONGEST_KEY:
        return None
    status = {
        "id": original,
        "recipient_id": wa_id,
        "message": {"recipient_id": wa_id},
        "type": "message",
        "status": "deleted",
        "timestamp": timestamp,
    }
    return V1Inbound(_encode(status), b"", {}, STATUS, key)


def _contact(raw: bytes, wa_id: str, message: Message) -> bytes:
    """The element of contacts[]; a user without a name is known by the username or the number."""
    if not raw:
        return b""
    contact = lenient.content(raw)
    profile = _object(contact, "profile")
    name = word_of(profile, "name") or word_of(profile, "username") or wa_id
    return _encode(contact | {"profile": profile | {"name": name}, "wa_id": wa_id})


def _object(found: Message, name: str) -> Message:
    value = found.get(name)
    return value if isinstance(value, dict) else {}

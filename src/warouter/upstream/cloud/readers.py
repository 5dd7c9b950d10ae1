"""One status, message or error of a webhook becomes an ``Element``. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw

from warouter.upstream.cloud import lenient
from warouter.upstream.cloud.batch import ERROR, INBOUND, LONGEST_ID, STATUS, Element
from warouter.upstream.cloud.parties import Parties, ids_of, number_of, user_of, word_of
from warouter.upstream.cloud.reference import parse_reference

_LONGEST_IN_KEY = 400  # characters of a wamid that is part of a key as it is
_TIME_DIGITS = 10  # more are no seconds
_STATUS = re.compile(r"[A-Za-z0-9_.-]{1,64}").fullmatch
_NUMBER_CHANGES = frozenset({"user_changed_number", "customer_changed_number"})


class _Timed(msgspec.Struct):
    timestamp: Any = None


_timed = msgspec.json.Decoder(_Timed).decode


class LeftOut(Exception):
    """An element that is counted under ``kind``, and nothing else; ``reason`` if it is broken."""

    def __init__(self, kind: str, reason: str = "") -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason


def status_of(raw: Raw, parties: Parties) -> Element:
    """An element of statuses[]; LeftOut."""
    json, found = _object(raw, "a status")
    wamid, timestamp = _wamid(found, "a status"), time_of(found.get("timestamp"))
    status, reference = found.get("status"), found.get("biz_opaque_callback_data")
    if not isinstance(status, str) or not _STATUS(status):
        raise LeftOut("unreadable", "a status has no name")
    if found.get("recipient_type") == "group":
        raise LeftOut("group")
    wa_id, user_id = ids_of(found, "recipient_id", "recipient_user_id")
    party = parties.find(wa_id, user_id)
    return Element(
        kind=STATUS,
        key=f"{_in_key(wamid)}:{status}:{timestamp}",
        raw=json,
        wamid=wamid,
        status=status,
        reference=reference if isinstance(reference, str) and parse_reference(reference) else "",
        wa_id=wa_id or party.wa_id,
        user_id=user_id or party.user_id,
        parent_user_id=user_of(found.get("recipient_parent_user_id")) or party.parent_user_id,
        username=party.username,
        name=party.name,
        identity_hash=word_of(found, "recipient_identity_key_hash") or party.identity_hash,
        timestamp=timestamp,
    )


def message_of(raw: Raw, parties: Parties, *, mark: bool = False) -> Element:
    """An element of messages[], with ``standby: true`` if it is to be marked; LeftOut."""
    json, found = _object(raw, "a message")
    if mark:
        json = _with(json, b'"standby":true')
    wamid = _wamid(found, "a message")
    if found.get("group_id"):
        raise LeftOut("group")
    system = found.get("system")
    if found.get("type") == "system" and isinstance(system, dict):
        return _system(json, wamid, found, system)
    return _of_customer(json, wamid, found, parties, "from", "a message has no sender")


def echo_of(raw: Raw, parties: Parties, *, mark: bool) -> Element:
    """An element of message_echoes[]: what the business said elsewhere, to a customer; LeftOut.

    It travels as a message of the customer's slot that says which way it went (``echo``).
    """
    json, found = _object(raw, "an echo")
    json = _with(json, b'"echo":true' if mark else b'"echo":false')
    return _of_customer(
        json, _wamid(found, "an echo"), found, parties, "to", "an echo is to nobody"
    )


def _of_customer(
    json: bytes, wamid: str, found: Mapping[str, Any], parties: Parties, field: str, nobody: str
) -> Element:
    """A message of the customer whom ``field`` names; LeftOut with ``nobody`` as its reason."""
    wa_id, user_id = ids_of(found, field, f"{field}_user_id")
    party = parties.find(wa_id, user_id)
    wa_id, user_id = wa_id or party.wa_id, user_id or party.user_id
    if not wa_id and not user_id:
        raise LeftOut("unreadable", nobody)
    return Element(
        kind=INBOUND,
        key=_in_key(wamid),
        raw=json,
        contact=party.raw,
        wamid=wamid,
        wa_id=wa_id,
        user_id=user_id,
        parent_user_id=user_of(found.get(f"{field}_parent_user_id")) or party.parent_user_id,
        username=party.username,
        name=party.name,
        identity_hash=party.identity_hash,
        timestamp=time_of(found.get("timestamp")),
    )


def error_of(raw: Raw, hour: int) -> Element:
    """An element of errors[], which is nobody's and has no time of its own; LeftOut."""
    json, _ = _object(raw, "an error")
    digest = sha256(b"%d:" % hour + json).hexdigest()
    return Element(kind=ERROR, key=f"error:{digest}", raw=json)


def rename_of(raw: Raw) -> Element:
    """An element of user_id_update[], as the system message that says the same; LeftOut."""
    json, found = _object(raw, "an update of a user id")
    ids = found.get("user_id")
    ids = ids if isinstance(ids, dict) else {}
    wamid = f"user_id_update-{sha256(json).hexdigest()}"
    message = {
        "id": wamid,
        "timestamp": str(time_of(found.get("timestamp"))),
        "type": "system",
        "system": {
            "type": "user_changed_user_id",
            "wa_id": number_of(found.get("wa_id")),
            "user_id": user_of(ids.get("current")),
            "previous_user_id": user_of(ids.get("previous")),
        },
    }
    return message_of(Raw(msgspec.json.encode(message)), Parties([]))


def time_of(value: object) -> int:
    """The unix seconds in a number or a string of digits; 0 for anything that is no such time."""
    if isinstance(value, str):
        is_time = len(value) <= _TIME_DIGITS and value.isascii() and value.isdigit()
        return int(value) if is_time else 0
    return value if isinstance(value, int) and 1 < value < 10**_TIME_DIGITS else 0  # 1 may be true


def timestamp_of(raw: bytes) -> int:
    """The time of an element, as ``time_of``."""
    try:
        return time_of(_timed(raw).timestamp)
    except (ValueError, RecursionError):
        return 0


def _system(json: bytes, wamid: str, found: Mapping[str, Any], system: dict[str, Any]) -> Element:
    """A system message: there is no contact, and its ids are the new ones."""
    old, sender = ids_of(found, "from", "from_user_id")
    old = old or number_of(system.get("customer"))
    new, user_id = ids_of(system, "wa_id", "user_id")
    changes_number = word_of(system, "type") in _NUMBER_CHANGES
    if not changes_number:  # a new number has a new user id, and which one the sender's is, is open
        user_id = user_id or sender
    previous = user_of(system.get("previous_user_id")) or (sender if sender != user_id else "")
    changed_to = (new or number_of(system.get("new_wa_id"))) if changes_number else ""
    wa_id = old if changes_number else old or new
    identity = word_of(system, "identity")
    if not (wa_id or user_id or previous):
        raise LeftOut("unreadable", "a system message is nobody's")
    return Element(
        kind=INBOUND,
        key=_in_key(wamid),
        raw=json,
        wamid=wamid,
        wa_id=wa_id,
        user_id=user_id,
        parent_user_id=user_of(system.get("parent_user_id")),
        previous_user_id=previous,
        changed_to=changed_to,
        identity_hash=identity,
        identity_changed=bool(identity),
        timestamp=time_of(found.get("timestamp")),
    )


def _with(json: bytes, member: bytes) -> bytes:
    """An object that is not empty with one more member; what it says itself goes before."""
    return b"{" + member + b"," + json.lstrip()[1:]


def _object(raw: Raw, what: str) -> tuple[bytes, dict[str, Any]]:
    found = lenient.whole(raw)
    if found is None:
        raise LeftOut("unreadable", f"{what} is not an object")
    return found


def _wamid(found: Mapping[str, Any], what: str) -> str:
    wamid = found.get("id")
    if not isinstance(wamid, str) or not 0 < len(wamid) <= LONGEST_ID or not wamid.isprintable():
        raise LeftOut("unreadable", f"{what} has no id")
    return wamid


def _in_key(wamid: str) -> str:
    """A wamid in a key: as it is, unless it is so long or so odd that two keys could be equal."""
    if len(wamid) <= _LONGEST_IN_KEY and ":" not in wamid:
        return wamid
    return f"wamid-sha256-{sha256(wamid.encode()).hexdigest()}"

"""Inbound messages in the form of Cloud webhooks. Pure.

What a customer wrote is built below the doors, in the v1 form (``simulator.inbound``); here it gets
Meta's: ids of media, hashes in base64, voice notes as audio, user ids, no `contacts` where Meta has
none. What only the Cloud API knows is passed through as it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from warouter.lab.simulator.cloud import people
from warouter.lab.simulator.cloud.people import People, ShownCustomer
from warouter.lab.simulator.cloud.webhooks.envelope import MESSAGES, WebhookElement
from warouter.lab.simulator.identity import CustomerIdentity
from warouter.lab.simulator.inbound import TYPES, InboundMessage
from warouter.recipient import wa_id

RAW = "raw"
VALUE = "value"
# Types that the v1 API does not have; their object is passed as it is given.
CLOUD_TYPES = ("reaction", "edit", "revoke", "request_welcome", "group_update")
_MEDIA = ("image", "audio", "voice", "video", "document", "sticker")
_NOT_MESSAGES = ("from", "type", "errors", "identity")
_NOT_CLOUDS = ("status", "file", "link", "sha256")


class GraphMedia(NamedTuple):
    """Media at the Graph side: ``sha256`` in base64, ``url`` for five minutes."""

    id: str
    sha256: str
    url: str


class CloudRequest(NamedTuple):
    """A webhook that the control port is asked for in a form of the Cloud API's own."""

    number: str
    element: WebhookElement
    id: str


def cloud_only(
    asked: object, new_id: Callable[[str], str], now: int, people_: People
) -> CloudRequest | None:
    """A request that the v1 form has no words for; None for all others.

    ``{"raw": element, "kind"?: "messages", "field"?, "contact"?}``: one element as it is;
    ``{"value": {…}, "field"?}``: the whole value of a change;
    ``{"from", "type": "reaction" …, "<type>": {…}}``: a message of a type of CLOUD_TYPES.
    ValueError with a sentence if something is missing or wrong.
    """
    if not isinstance(asked, dict):
        return None
    field, array = str(asked.get("field", MESSAGES)), str(asked.get("kind", MESSAGES))
    if VALUE in asked:
        return CloudRequest("", WebhookElement("", _object(asked, VALUE), b"", field), "")
    if RAW in asked:
        contact = _object(asked, "contact") if asked.get("contact") else b""
        element = WebhookElement(array, _object(asked, RAW), contact, field)
        return CloudRequest("", element, str(asked[RAW].get("id", "")))
    kind = asked.get("type")
    if kind not in CLOUD_TYPES or kind in TYPES:
        return None
    return _message(asked, str(kind), new_id, now, people_)


def element(
    message: InboundMessage,
    media: Mapping[str, GraphMedia],
    shown: ShownCustomer,
    identity: CustomerIdentity | None,
    our_wamid: Callable[[str], str | None],
    hash: str = "",
) -> WebhookElement:
    """The webhook element of a message that was built in the v1 form. ``identity`` is a new one
    that it tells of; ``hash`` stands in the contact.
    """
    said: dict[str, Any] = msgspec.json.decode(message.payload)
    if not message.wa_id:
        return WebhookElement("errors", msgspec.json.encode(_error(said)))
    kind = said["type"]
    found = _from(shown) | {k: v for k, v in said.items() if k not in _NOT_MESSAGES}
    found["type"] = kind
    if kind in _MEDIA:
        found.pop(kind)
        kind, content = _media(kind, said[kind], media.get(kind))
        found |= {"type": kind, kind: content}
    if "context" in found:
        found["context"] = _with_wamid(found["context"], "id", our_wamid)
    if "referral" in found:
        found["referral"] = _referral(found["referral"], media.get("referral"))
    if kind == "system":
        return WebhookElement(MESSAGES, msgspec.json.encode(_system(found, identity)))
    if kind == "unknown":
        found |= {
            "type": "unsupported",
            "errors": [_UNSUPPORTED],
            "unsupported": {"type": "unknown"},
        }
    name = msgspec.json.decode(message.contact)["profile"]["name"]
    return WebhookElement(MESSAGES, msgspec.json.encode(found), people.contact(shown, name, hash))


def with_wamids(raw: dict[str, Any], our_wamid: Callable[[str], str | None]) -> dict[str, Any]:
    """A message of a Cloud type with the ids of ours that it names as wamids."""
    found = dict(raw)
    for name, key in (("context", "id"), ("reaction", "message_id")):
        if isinstance(found.get(name), dict):
            found[name] = _with_wamid(found[name], key, our_wamid)
    return found


def _message(
    asked: dict[str, Any], kind: str, new_id: Callable[[str], str], now: int, people_: People
) -> CloudRequest:
    number = wa_id(str(asked.get("from", "")))
    shown = people_.shown(number)
    id = str(asked.get("id") or new_id(shown.wa_id or shown.user_id))
    found = _from(shown) | {"id": id, "timestamp": str(asked.get("timestamp", now)), "type": kind}
    if kind != "request_welcome":
        _object(asked, kind)
        found[kind] = asked[kind]
    if isinstance(asked.get("context"), dict):
        found["context"] = asked["context"]
    contact = people.contact(shown, str(asked.get("name") or number))
    return CloudRequest(number, WebhookElement(MESSAGES, msgspec.json.encode(found), contact), id)


def _from(shown: ShownCustomer) -> dict[str, Any]:
    number = {"from": shown.wa_id} if shown.wa_id else {}
    return number | ({"from_user_id": shown.user_id} if shown.user_id else {})


def _media(kind: str, media: dict[str, Any], kept: GraphMedia | None) -> tuple[str, dict[str, Any]]:
    content = {k: v for k, v in media.items() if k not in _NOT_CLOUDS}
    if kept is not None:
        content |= {"id": kept.id, "sha256": kept.sha256, "url": kept.url}
    if kind == "voice" or kind == "audio":
        content["voice"] = kind == "voice"
    return ("audio" if kind == "voice" else kind), content


def _referral(given: dict[str, Any], kept: GraphMedia | None) -> dict[str, Any]:
    referral = {k: v for k, v in given.items() if k not in ("image", "video")}
    for kind in ("image", "video"):
        if kind in given:
            referral["media_type"] = kind
            if kept is not None:
                referral[f"{kind}_url"] = kept.url
    return referral


def _system(found: dict[str, Any], identity: CustomerIdentity | None) -> dict[str, Any]:
    system = dict(found["system"])
    changed = system.get("type") == "user_changed_number" and "from_user_id" in found
    if changed and system.get("wa_id"):
        system.setdefault("user_id", people.user_id(wa_id(str(system["wa_id"]))))
        system.setdefault("previous_user_id", found["from_user_id"])
    if system.get("type") == "user_identity_changed":
        system["type"] = "customer_identity_changed"
        if identity is not None:
            system["identity"] = identity.hash
    return found | {"system": system}


def _error(said: dict[str, Any]) -> dict[str, Any]:
    error = {"code": said["code"], "title": said["title"], "message": said["title"]}
    return error | {"error_data": {"details": said.get("details", "")}}


def _with_wamid(
    given: dict[str, Any], key: str, our_wamid: Callable[[str], str | None]
) -> dict[str, Any]:
    wamid = our_wamid(str(given.get(key, "")))
    return given if wamid is None else given | {key: wamid}


def _object(asked: dict[str, Any], name: str) -> bytes:
    if not isinstance(asked.get(name), dict):
        raise ValueError(f'"{name}" must be a JSON object')
    return msgspec.json.encode(asked[name])


_UNSUPPORTED = {
    "code": 131051,
    "title": "Message type unknown",
    "message": "Message type unknown",
    "error_data": {"details": "Message type is currently not supported."},
}

"""Builds inbound messages of every type in the v1 webhook form. Pure.

Media arrives as the product shows what it has not fetched: an object with ``status`` undownloaded
and without ``id`` and ``file``. Its content stays at the simulator's media service.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from warouter._hash import slot_of
from warouter.codes import href
from warouter.lab.simulator import shapes
from warouter.lab.simulator.identity import CustomerIdentity
from warouter.recipient import wa_id
from warouter.upstream.protocol import MAX_FRAME

# Room for the other fields of the frame.
LARGEST = MAX_FRAME - 16 * 1024

_MIMES = {
    "image": "image/jpeg",
    "audio": "audio/mpeg",
    "voice": "audio/ogg; codecs=opus",
    "video": "video/mp4",
    "document": "application/pdf",
    "sticker": "image/webp",
}
_CAPTIONED = frozenset({"image", "video", "document"})


class InboundRequest(msgspec.Struct, forbid_unknown_fields=True, rename={"sender": "from"}):
    """A request for an inbound message, without the object of its type. ``data`` is base64."""

    sender: str
    type: str = "text"
    name: str = ""
    body: str | None = None
    data: str | None = None
    mime: str | None = None
    id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    timestamp: Annotated[int, Meta(ge=0)] | None = None
    context: dict[str, Any] | None = None
    referral: dict[str, Any] | None = None
    identity: dict[str, Any] | None = None


class InboundMessage(msgspec.Struct, frozen=True):
    """One message: ``payload`` is its element of
    ``messages[]``, ``contact`` that of ``contacts[]``.

    ``new_identity``: it says that the customer has another identity now.
    With the type ``error`` it is nobody's (``wa_id`` is empty): an element of ``errors[]``, for
    what concerns no message.
    ``contents`` holds the bytes of its media by their place: the type's name, `referral`.
    """

    id: str
    slot: int
    wa_id: str
    payload: bytes
    contact: bytes
    new_identity: bool = False
    contents: dict[str, bytes] = {}


def build(asked: object, new_id: str, now: int) -> InboundMessage:
    """The message for a JSON object; ``new_id`` and ``now`` (unix s) apply unless it has its own.

    ValueError with a sentence if something is missing, unknown or wrong.
    """
    if not isinstance(asked, dict):
        raise ValueError("an inbound message must be a JSON object")
    fields = dict(asked)
    kind = fields.get("type", "text")
    if not isinstance(kind, str) or kind not in TYPES:
        raise ValueError(f"the type must be one of {', '.join(TYPES)}, not {kind!r}")
    given = fields.pop(kind, None)
    request = msgspec.convert(fields, InboundRequest)
    number = wa_id(request.sender)
    if kind == "error":
        error = TYPES[kind](request, given)["error"]
        return InboundMessage(
            request.id or new_id, slot_of(number), "", msgspec.json.encode(error), b""
        )
    message: dict[str, Any] = {
        "from": number,
        "id": request.id or new_id,
        "timestamp": str(now if request.timestamp is None else request.timestamp),
        "type": kind,
    }
    for name in ("context", "referral", "identity"):
        if (value := getattr(request, name)) is not None:
            message[name] = value
    message |= TYPES[kind](request, given)
    contents = {kind: _decoded(request.data)} if request.data and kind in _MIMES else {}
    if request.referral is not None:
        message["referral"], ad = _referral(request.referral)
        contents |= {"referral": ad} if ad else {}
    payload = msgspec.json.encode(message)
    contact = msgspec.json.encode({"profile": {"name": request.name or number}, "wa_id": number})
    if len(payload) + len(contact) > LARGEST:
        raise ValueError(f"an inbound message has at most {LARGEST} bytes, not {len(payload)}")
    changed = kind == "system" and message["system"]["type"] == "user_identity_changed"
    return InboundMessage(
        message["id"], slot_of(number), number, payload, contact, changed, contents
    )


def with_identity(payload: bytes, identity: CustomerIdentity) -> bytes:
    """The element of ``messages[]`` with the identity of its sender."""
    return b'%b,"identity":%b}' % (payload[:-1], msgspec.json.encode(identity))


def _text(request: InboundRequest, given: object) -> dict[str, Any]:
    return {"text": _checked(_either(request, given, "body"), shapes.TextShape, "text")}


def _button(request: InboundRequest, given: object) -> dict[str, Any]:
    button = {"payload": None} | _either(request, given, "text")
    return {"button": _checked(button, shapes.ButtonShape, "button")}


def _system(request: InboundRequest, given: object) -> dict[str, Any]:
    system = {"type": "user_changed_number"} | _either(request, given, "body")
    return {"system": _checked(system, shapes.SystemShape, "system")}


def _media(request: InboundRequest, given: object) -> dict[str, Any]:
    kind = request.type
    if given is None and request.data is None:
        raise ValueError(f'a message of type {kind} needs "data" (base64) or the object "{kind}"')
    media = dict(_object({} if given is None else given, kind))
    content = _decoded(request.data or "")
    # Without content there is something to hash all the same: the digest is only ever compared.
    named = str(media.pop("id", "")).encode()
    media.pop("file", None)
    media.setdefault("mime_type", request.mime or _MIMES[kind])
    media.setdefault("sha256", hashlib.sha256(content or named).hexdigest())
    if request.body is not None and kind in _CAPTIONED:
        media["caption"] = request.body
    media["status"] = "undownloaded"
    return {kind: _checked(media, shapes.MediaShape, kind)}


def _referral(given: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The ad that a customer came from; ``data`` (base64) of its image or video is taken out."""
    referral = dict(given)
    for kind in ("image", "video"):
        if referral.get(kind) is None:
            continue
        media = dict(_object(referral[kind], kind))
        content = _decoded(str(media.pop("data", "")))
        media.setdefault("mime_type", _MIMES[kind])
        media.setdefault("sha256", hashlib.sha256(content).hexdigest())
        referral[kind] = media | {"status": "undownloaded"}
        return referral, content
    return referral, b""


def _plain(kind: str, shape: Any) -> Callable[[InboundRequest, object], dict[str, Any]]:
    def made(request: InboundRequest, given: object) -> dict[str, Any]:
        if given is None:
            raise ValueError(f'a message of type {kind} needs the object "{kind}"')
        return {kind: _checked(given, shape, kind)}

    return made


def _contacts(request: InboundRequest, given: object) -> dict[str, Any]:
    """Each phone with its wa_id, empty if the number cannot have one."""
    cards = _plain("contacts", list[shapes.ContactShape])(request, given)["contacts"]
    for phone in (phone for card in cards for phone in card.get("phones", ())):
        phone.setdefault("wa_id", _wa_id_or_none(str(phone.get("phone", ""))))
    return {"contacts": cards}


def _wa_id_or_none(spelling: str) -> str:
    try:
        return wa_id(spelling)
    except ValueError:
        return ""


def _empty(request: InboundRequest, given: object) -> dict[str, Any]:
    return {}


def _unknown(request: InboundRequest, given: object) -> dict[str, Any]:
    return {
        "errors": [
            {
                "code": 501,
                "title": "Unsupported message type",
                "details": "Message type is not currently supported",
                "href": href(501),
            }
        ]
    }


TYPES: dict[str, Callable[[InboundRequest, object], dict[str, Any]]] = {
    "text": _text,
    **dict.fromkeys(_MIMES, _media),
    "location": _plain("location", shapes.LocationShape),
    "contacts": _contacts,
    "button": _button,
    "interactive": _plain("interactive", shapes.InteractiveShape),
    "order": _plain("order", shapes.OrderShape),
    "system": _system,
    "ephemeral": _empty,
    "unknown": _unknown,
    "error": _plain("error", shapes.ErrorShape),
}


def _either(request: InboundRequest, given: object, key: str) -> dict[str, Any]:
    if given is not None:
        return _object(given, request.type)
    if request.body is None:
        raise ValueError(
            f'a message of type {request.type} needs "body" or the object "{request.type}"'
        )
    return {key: request.body}


def _object(given: object, kind: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f'"{kind}" is a JSON object')
    return given


def _checked(given: Any, shape: Any, kind: str) -> Any:
    try:
        msgspec.convert(given, shape)
    except msgspec.ValidationError as error:
        raise ValueError(f'"{kind}": {error}') from error
    return given


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("data is not base64") from error

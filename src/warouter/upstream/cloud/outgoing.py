"""A v1 message as the body of ``POST /{phone-number-id}/messages``. Pure.

The body is what POST /v1/messages has accepted. What the Graph API does not know stays behind:
``ttl``, nulls, objects of other types than the message's. Ids of our own messages become Meta's;
ids of inbound messages are Meta's already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from warouter import codes
from warouter.errors import WarouterError
from warouter.message_id import parse
from warouter.upstream.cloud.objects.attached import IN_MESSAGES, attached
from warouter.upstream.cloud.objects.interactive import interactive
from warouter.upstream.cloud.objects.template import template

INVALID, MISSING, UNSUPPORTED = 1009, 1008, 501


class Untranslatable(WarouterError):
    """A message that no request can be made of: it fails for good, with a v1 ``code``."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.title = codes.title(code)
        self.details = details


class Addressee(msgspec.Struct, frozen=True, gc=False):
    """Whom a message goes to: the digits of a number, or the BSUID of a user without one.

    ``identity`` is the hash of the identity that it is meant for: anybody else's refuses it.
    """

    wa_id: str
    user_id: str = ""
    identity: str = ""


class _Quoted(msgspec.Struct):
    message_id: str | None = None


class _Text(msgspec.Struct):
    body: str | None = None
    preview_url: bool | None = None  # belongs to the top level; some senders put it here


class _Message(msgspec.Struct):
    """The parts of a message, each decoded only if it is of the message's type."""

    type: str | None = None
    preview_url: bool | None = None
    context: _Quoted | None = None
    text: msgspec.Raw = msgspec.Raw()
    image: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()
    video: msgspec.Raw = msgspec.Raw()
    document: msgspec.Raw = msgspec.Raw()
    sticker: msgspec.Raw = msgspec.Raw()
    location: msgspec.Raw = msgspec.Raw()
    contacts: msgspec.Raw = msgspec.Raw()
    template: msgspec.Raw = msgspec.Raw()
    interactive: msgspec.Raw = msgspec.Raw()
    reaction: msgspec.Raw = msgspec.Raw()


class _Mark(msgspec.Struct):
    message_id: str


class _GivenMessage(msgspec.Struct, frozen=True):
    """The parts that a message is made of, beside its one object."""

    message: _Message
    ids: Iterator[str]
    wamids: Mapping[str, str]


# Lax, as the decoder of POST /v1/messages: a flag may come as a string.
_MESSAGE = msgspec.json.Decoder(_Message, strict=False)
_TEXT = msgspec.json.Decoder(_Text, strict=False)
_QUOTED = msgspec.json.Decoder(_Quoted)
_MARK = msgspec.json.Decoder(_Mark)
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_OBJECTS = msgspec.json.Decoder(list[dict[str, Any]])
_ABSENT = (msgspec.Raw(), msgspec.Raw(b"null"))
_BROKEN = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


def translate(
    body: bytes | memoryview,
    to: Addressee,
    reference: str,
    *,
    media: Sequence[str] = (),
    wamids: Mapping[str, str] = {},
) -> bytes:
    """The JSON for the Graph API; Untranslatable if there is none.

    ``media`` are Meta's ids of uploaded media, in the order of ``media.references.find``;
    ``wamids`` are Meta's ids of those in ``mentions``, as far as they are known.
    """
    try:
        message = _MESSAGE.decode(body)
        kind = message.type or "text"
        make = _MAKERS.get(kind)
        if make is None:
            raise Untranslatable(UNSUPPORTED, f"messages of type {kind} cannot be sent")
        made: dict[str, Any] = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **_recipient(to),
            "type": kind,
            kind: make(_raw(message, kind), _GivenMessage(message, iter(media), wamids)),
        }
        if message.context is not None and (quoted := _wamid(message.context, wamids)):
            made["context"] = {"message_id": quoted}
        made["biz_opaque_callback_data"] = reference
        if to.identity:
            made["recipient_identity_key_hash"] = to.identity
        return msgspec.json.encode(made)
    except _BROKEN as error:
        raise Untranslatable(INVALID, f"the message cannot be sent: {error}") from None


def mentions(body: bytes | memoryview) -> list[str]:
    """The ids of our own messages that a message quotes or reacts to; ids of others are Meta's."""
    try:
        message = _MESSAGE.decode(body)
        named = [message.context]
        if message.type == "reaction":
            named.append(_QUOTED.decode(message.reaction))
        elif message.context is None:  # nearly always
            return []
    except _BROKEN:
        return []
    ids = (one.message_id for one in named if one is not None and one.message_id)
    return list(dict.fromkeys(found for found in ids if _is_ours(found)))


def read_mark(body: bytes | memoryview, *, typing: bool = False) -> bytes:
    """The JSON that marks an inbound message as read, and shows that an answer is being typed."""
    try:
        mark = _MARK.decode(body)
    except _BROKEN as error:
        raise Untranslatable(INVALID, f"the read mark cannot be sent: {error}") from None
    made: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": mark.message_id,
    }
    if typing:
        made["typing_indicator"] = {"type": "text"}
    return msgspec.json.encode(made)


def _recipient(to: Addressee) -> dict[str, str]:
    # Without the plus Meta may put the sender's own country code in front.
    return {"recipient": to.user_id} if to.user_id else {"to": f"+{to.wa_id}"}


def _raw(message: _Message, kind: str) -> msgspec.Raw:
    raw: msgspec.Raw = getattr(message, kind)
    if raw in _ABSENT:
        raise Untranslatable(MISSING, f"{kind} is required")
    return raw


def _wamid(quoted: _Quoted, wamids: Mapping[str, str]) -> str:
    """Meta's id of a message; empty if it is one of ours and has none that is known."""
    given = quoted.message_id or ""
    return wamids.get(given, "") if _is_ours(given) else given


def _is_ours(message_id: str) -> bool:
    try:
        return bool(parse(message_id))
    except ValueError:
        return False


def _text(raw: msgspec.Raw, given: _GivenMessage) -> dict[str, Any]:
    text = _TEXT.decode(raw)
    if not text.body:
        raise Untranslatable(MISSING, "text.body is required")
    preview = given.message.preview_url
    if preview is None:
        preview = text.preview_url
    return {"body": text.body} if preview is None else {"body": text.body, "preview_url": preview}


def _media(kind: str) -> Callable[[msgspec.Raw, _GivenMessage], dict[str, Any]]:
    def make(raw: msgspec.Raw, given: _GivenMessage) -> dict[str, Any]:
        made = attached(_OBJECT.decode(raw), IN_MESSAGES[kind], given.ids)
        if not made:
            raise Untranslatable(MISSING, f"{kind}.id or {kind}.link is required")
        return made

    return make


def _location(raw: msgspec.Raw, _given: _GivenMessage) -> dict[str, Any]:
    location = _OBJECT.decode(raw)
    known = ("latitude", "longitude", "name", "address")
    return {key: location[key] for key in known if location.get(key) is not None}


def _reaction(raw: msgspec.Raw, given: _GivenMessage) -> dict[str, Any]:
    target = _wamid(_QUOTED.decode(raw), given.wamids)
    if not target:
        raise Untranslatable(
            INVALID, "reaction.message_id names a message that WhatsApp has no id of"
        )
    return {"message_id": target, "emoji": _OBJECT.decode(raw).get("emoji") or ""}


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    given = _OBJECT.decode(raw)
    if b"null" in bytes(raw):  # seldom, and the search costs less than the walk
        given = _without_nulls(given)
    return given


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value if one is not None]
    return value


_MAKERS: dict[str, Callable[[msgspec.Raw, _GivenMessage], Any]] = {
    "text": _text,
    **{kind: _media(kind) for kind in IN_MESSAGES},
    "location": _location,
    "contacts": lambda raw, _given: _without_nulls(_OBJECTS.decode(raw)),
    "template": lambda raw, given: template(_object(raw), given.ids),
    "interactive": lambda raw, given: interactive(_object(raw), given.ids),
    "reaction": _reaction,
}

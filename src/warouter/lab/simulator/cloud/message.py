"""Reads the body of ``POST …/messages`` and checks it as Meta does. Pure.

Unknown keys at the top are refused, unless they are to be ignored; what a type's object has beyond
the fields that are checked travels on. A body that is not right raises GraphError: 131008 if
something is missing, 131009 for a value out of its range, 100 for all else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from warouter.lab.simulator.cloud import people
from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.recipient import wa_id

MISSING, VALUE = 131008, 131009
_MOST_BUTTONS, _MOST_ROWS = 3, 10

Text4096 = Annotated[str, Meta(min_length=1, max_length=4096)]
Text1024 = Annotated[str, Meta(max_length=1024)]
Degrees = float | str


class _TextObject(msgspec.Struct):
    body: Text4096
    preview_url: bool = False


class _MediaObject(msgspec.Struct):
    id: str = ""
    link: str = ""
    caption: Text1024 | None = None
    filename: str | None = None
    voice: bool = False


class _LocationObject(msgspec.Struct):
    latitude: Degrees
    longitude: Degrees


class _ContactName(msgspec.Struct):
    formatted_name: str


class _ContactObject(msgspec.Struct):
    name: _ContactName


class _ReactionObject(msgspec.Struct):
    message_id: str
    emoji: str


class _InteractiveObject(msgspec.Struct):
    type: str
    action: dict[str, Any]
    body: dict[str, Any] | None = None
    header: dict[str, Any] | None = None


class _Section(msgspec.Struct):
    rows: list[dict[str, Any]] = []


class _LanguageObject(msgspec.Struct):
    code: str
    policy: str = "deterministic"


class _TemplateObject(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1, max_length=512)]
    language: _LanguageObject
    components: list[dict[str, Any]] = []


class _Context(msgspec.Struct):
    message_id: str


class _Typing(msgspec.Struct):
    type: str


class _MessageBody(msgspec.Struct, forbid_unknown_fields=True):
    messaging_product: str = ""
    recipient_type: str = "individual"
    to: str = ""
    recipient: str = ""
    type: str = "text"
    context: _Context | None = None
    messaging_account_id: str = ""
    biz_opaque_callback_data: Annotated[str, Meta(max_length=512)] = ""
    recipient_identity_key_hash: str = ""
    status: str = ""
    message_id: str = ""
    typing_indicator: _Typing | None = None
    text: _TextObject | None = None
    image: _MediaObject | None = None
    video: _MediaObject | None = None
    audio: _MediaObject | None = None
    document: _MediaObject | None = None
    sticker: _MediaObject | None = None
    location: _LocationObject | None = None
    contacts: Annotated[list[_ContactObject], Meta(min_length=1, max_length=257)] | None = None
    reaction: _ReactionObject | None = None
    interactive: _InteractiveObject | None = None
    template: _TemplateObject | None = None


class _Lenient(_MessageBody, forbid_unknown_fields=False):
    """A message's body with unknown keys, which are ignored."""


class AskedMessage(NamedTuple):
    """The contents of a request.

    ``number``: digits, "" for a user id that no number belongs to. ``written``: as it was sent.
    ``read``: the id of the inbound message that a read mark names; the rest is empty then.
    """

    number: str = ""
    written: str = ""
    by_user: bool = False
    kind: str = ""
    reference: str = ""
    template: str | None = None
    media: tuple[str, ...] = ()
    voice: bool = False
    identity: str = ""
    read: str = ""
    typing: bool = False


_decode = msgspec.json.Decoder(_MessageBody).decode
_decode_lenient = msgspec.json.Decoder(_Lenient).decode
_MEDIA = frozenset({"image", "video", "audio", "document", "sticker"})
_TYPES = (*_MEDIA, "text", "location", "contacts", "reaction", "interactive", "template")
_GRAPH_TYPES = "{" + ", ".join(sorted(kind.upper() for kind in _TYPES)) + "}"


def read(body: bytes, *, need_plus: bool = False, ignore_unknown: bool = False) -> AskedMessage:
    """Read the body; raises GraphError."""
    try:
        asked = _decode_lenient(body) if ignore_unknown else _decode(body)
    except msgspec.ValidationError as error:
        missing = "missing required field" in str(error)
        raise GraphError(MISSING if missing else PARAMETER, str(error)) from None
    except msgspec.DecodeError as error:
        raise GraphError(PARAMETER, f"the body is not JSON: {error}") from None
    if asked.messaging_product != "whatsapp":
        raise GraphError(PARAMETER, "The parameter messaging_product is required.")
    return _mark(asked) if asked.status else _message(asked, need_plus)


def _mark(asked: _MessageBody) -> AskedMessage:
    if asked.status != "read":
        raise GraphError(PARAMETER, "Param status must be one of {READ}")
    if not asked.message_id:
        raise GraphError(PARAMETER, "The parameter message_id is required.")
    return AskedMessage(read=asked.message_id, typing=asked.typing_indicator is not None)


def _message(asked: _MessageBody, need_plus: bool) -> AskedMessage:
    kind = asked.type
    if kind not in _TYPES:
        raise GraphError(PARAMETER, f"Param type must be one of {_GRAPH_TYPES}")
    given = getattr(asked, kind)
    if given is None:
        raise GraphError(MISSING, f"Parameter {kind} is required for type {kind}.")
    if check := _CHECKS.get(kind):
        check(given)
    number, written = _recipient(asked, need_plus)
    template = asked.template
    return AskedMessage(
        number=number,
        written=written,
        by_user=not asked.to,
        kind=kind,
        reference=asked.biz_opaque_callback_data,
        template=template.name if kind == "template" and template is not None else None,
        media=_media_of(kind, given),
        voice=kind == "audio" and given.voice,
        identity=asked.recipient_identity_key_hash,
    )


def _recipient(asked: _MessageBody, need_plus: bool) -> tuple[str, str]:
    """The number and what was written. If both are given `to` wins."""
    if asked.recipient_type != "individual":
        raise GraphError(PARAMETER, "Param recipient_type must be one of {INDIVIDUAL}")
    if asked.to:
        if need_plus and not asked.to.startswith("+"):
            raise GraphError(PARAMETER, "Param to must begin with a plus sign")
        try:
            return wa_id(asked.to), asked.to
        except ValueError as error:
            raise GraphError(PARAMETER, f"Param to is not a phone number: {error}") from None
    if not asked.recipient:
        raise GraphError(PARAMETER, "The parameter to is required.")
    if not people.is_user_id(asked.recipient):
        raise GraphError(PARAMETER, "Param recipient is not a user id")
    return people.number_of(asked.recipient), asked.recipient


def _media_of(kind: str, given: Any) -> tuple[str, ...]:
    if kind in _MEDIA:
        return (given.id,) if given.id else ()
    if kind == "template":
        return tuple(_ids_in(given.components))
    return tuple(_ids_in(given.header)) if kind == "interactive" else ()


def _ids_in(value: Any) -> Iterator[str]:
    """The ids of media objects in parameters, headers and cards, in their order."""
    if isinstance(value, list):
        for one in value:
            yield from _ids_in(one)
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        if name in _MEDIA and isinstance(inner, dict) and inner.get("id"):
            yield str(inner["id"])
        else:
            yield from _ids_in(inner)


def _check_media(media: _MediaObject) -> None:
    if bool(media.id) == bool(media.link):
        raise GraphError(PARAMETER, "A media object needs either an id or a link.")
    if media.link and not media.link.startswith(("http://", "https://")):
        raise GraphError(VALUE, "The link of a media object must be a URL.")


def _check_location(location: _LocationObject) -> None:
    try:
        within = abs(float(location.latitude)) <= 90 and abs(float(location.longitude)) <= 180
    except ValueError:
        within = False
    if not within:
        raise GraphError(VALUE, "latitude or longitude is not valid.")


def _check_interactive(interactive: _InteractiveObject) -> None:
    action = interactive.action
    if interactive.type == "button":
        buttons = action.get("buttons")
        if not isinstance(buttons, list) or not 1 <= len(buttons) <= _MOST_BUTTONS:
            raise GraphError(VALUE, f"Param buttons must have 1 to {_MOST_BUTTONS} items.")
    if interactive.type == "list":
        sections = action.get("sections")
        if not isinstance(sections, list) or not sections:
            raise GraphError(MISSING, "Param sections is required.")
        if not 1 <= _rows(sections) <= _MOST_ROWS:
            raise GraphError(VALUE, f"Total row count must be 1 to {_MOST_ROWS}.")
    if interactive.type in ("button", "list") and not (interactive.body or {}).get("text"):
        raise GraphError(MISSING, "Param body is required.")


def _rows(sections: list[Any]) -> int:
    """The number of rows in all sections; 0 if they are no sections."""
    try:
        return sum(len(section.rows) for section in msgspec.convert(sections, list[_Section]))
    except msgspec.ValidationError:
        return 0


def _check_template(template: _TemplateObject) -> None:
    if template.language.policy != "deterministic":
        raise GraphError(PARAMETER, "Param policy must be one of {DETERMINISTIC}")
    if any(not isinstance(component.get("type"), str) for component in template.components):
        raise GraphError(MISSING, "Each component needs a type.")


_CHECKS: dict[str, Callable[[Any], None]] = {
    **dict.fromkeys(_MEDIA, _check_media),
    "location": _check_location,
    "interactive": _check_interactive,
    "template": _check_template,
}

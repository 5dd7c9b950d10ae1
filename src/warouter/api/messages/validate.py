"""Checks of a message by its type, beyond its JSON shape: ``parse_message``.

Pure. One typed decode, then the rules of the one type at hand; an error names the parameter by its
path. The body is only read, and travels on as it came, unless ``Parsed.body`` takes its place.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from warouter.api.contacts.numbers import read
from warouter.api.messages import schema
from warouter.api.messages.action import with_object
from warouter.api.messages.interactive import check_interactive
from warouter.api.messages.rules import check_media, filled, filled_list, one_of, required
from warouter.api.messages.ttl import ttl_of
from warouter.errors import InvalidRecipientType, MessageTooLong, ParameterInvalid, ParameterMissing
from warouter.http.decode import decode
from warouter.recipient import wa_id

_DECODER = msgspec.json.Decoder(schema.Message, strict=False)
_LANGUAGE_POLICIES = ("deterministic", "fallback")


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """The fields of a message that the webapp reads.

    ``recipient`` is a wa_id, ``media_ids`` are the ids of uploaded media that it refers to;
    ``body`` travels for the body that came, which does itself if it is empty.
    """

    recipient: str
    recipient_type: str
    type: str
    media_ids: list[str]
    ttl: int | None = None  # seconds
    body: bytes = b""


def parse_message(body: bytes) -> Parsed:
    """Check the JSON of POST /v1/messages; an ApiError (400) names the path and what is wrong."""
    message = decode(body, _DECODER)
    if message.interactive is not None and isinstance(message.interactive.action, str):
        written = with_object(body)
        return replace(parse_message(written), body=written)
    recipient = _recipient(message)
    kind = message.type or "text"
    rule = _RULES.get(kind)
    if rule is None:
        raise ParameterInvalid(f"type must be one of {', '.join(_RULES)}")
    ids: list[str] = []
    rule(message, ids)
    ttl = None if message.ttl is None else ttl_of(message.ttl)
    return Parsed(recipient, "individual", kind, ids, ttl)


def recipient_of(spelling: str, path: str) -> str:
    """The wa_id of a number; raises ParameterInvalid (naming
    ``path``) if it is not a valid number, or POST /v1/contacts reads another one in it.
    """
    try:
        found = wa_id(spelling)
    except ValueError as error:
        raise ParameterInvalid(f"{path} is not a WhatsApp number: {error}") from None
    # Digits alone are what they are; among separators a zero may be one that is dialled at home.
    other = None if spelling.isdigit() else read(spelling)
    if other is not None and other != found:
        raise ParameterInvalid(
            f"{path} can be read as {found} and, without a zero behind the country code, as"
            f" {other}: send the digits of the one that is meant"
        )
    return found


def _recipient(message: schema.Message) -> str:
    if message.recipient_type and message.recipient_type != "individual":
        if message.recipient_type == "group":
            raise InvalidRecipientType(
                "recipient_type group: messages to groups are no longer part of the API,"
                " send to individual recipients"
            )
        raise InvalidRecipientType("recipient_type must be individual")
    return recipient_of(filled(message.to, "to"), "to")


def _check_text(message: schema.Message, _ids: list[str]) -> None:
    if message.text is None:
        raise ParameterMissing("text is required (without a type, a message is a text)")
    body = filled(message.text.body, "text.body")
    if len(body) > schema.TEXT_CHARS:
        raise MessageTooLong(
            f"text.body has {len(body)} characters, at most {schema.TEXT_CHARS} are allowed"
        )


def _check_location(given: schema.Location | None, path: str) -> None:
    location = required(given, path)
    for name, value, most in (
        ("latitude", location.latitude, 90),
        ("longitude", location.longitude, 180),
    ):
        # Written so that "nan", which a number in a string may spell, fails too.
        if not -most <= required(value, f"{path}.{name}") <= most:
            raise ParameterInvalid(f"{path}.{name} must be between -{most} and {most}")


def _check_contacts(message: schema.Message, _ids: list[str]) -> None:
    for n, contact in enumerate(filled_list(message.contacts, "contacts")):
        path = f"contacts[{n}].name"
        filled(required(contact.name, path).formatted_name, f"{path}.formatted_name")


def _check_language(language: schema.Language | None, path: str) -> None:
    language = required(language, path)
    filled(language.code, f"{path}.code")
    if language.policy is not None:
        one_of(language.policy, f"{path}.policy", _LANGUAGE_POLICIES)


def _check_template(message: schema.Message, ids: list[str]) -> None:
    template = required(message.template, "template")
    filled(template.name, "template.name")
    _check_language(template.language, "template.language")
    _check_components(template.components, "template.components", ids)


def _check_components(components: list[schema.Component] | None, path: str, ids: list[str]) -> None:
    for n, component in enumerate(components or ()):
        where = f"{path}[{n}]"
        if filled(component.type, f"{where}.type").lower() == "button":
            filled(component.sub_type, f"{where}.sub_type")
            required(component.index, f"{where}.index")
        for m, parameter in enumerate(component.parameters or ()):
            _check_parameter(parameter, f"{where}.parameters[{m}]", ids)
        for m, card in enumerate(component.cards or ()):
            # The depth of a body is limited, and so is that of cards in cards.
            _check_components(card.components, f"{where}.cards[{m}].components", ids)


def _check_parameter(parameter: schema.Parameter, path: str, ids: list[str]) -> None:
    """Check a template parameter. The upstream checks types that are not listed here."""
    match filled(parameter.type, f"{path}.type"):
        case "text":
            required(parameter.text, f"{path}.text")
        case "payload":
            required(parameter.payload, f"{path}.payload")
        case "currency":
            currency = required(parameter.currency, f"{path}.currency")
            filled(currency.code, f"{path}.currency.code")
            required(currency.amount_1000, f"{path}.currency.amount_1000")
        case "date_time":
            required(parameter.date_time, f"{path}.date_time")
        case "image" | "video" | "document" as kind:
            check_media(getattr(parameter, kind), f"{path}.{kind}", ids)
        case "location":
            _check_location(parameter.location, f"{path}.location")


def _check_hsm(message: schema.Message, _ids: list[str]) -> None:
    hsm = required(message.hsm, "hsm")
    filled(hsm.namespace, "hsm.namespace")
    filled(hsm.element_name, "hsm.element_name")
    _check_language(hsm.language, "hsm.language")
    for n, parameter in enumerate(hsm.localizable_params or ()):
        required(parameter.default, f"hsm.localizable_params[{n}].default")


def _check_reaction(message: schema.Message, _ids: list[str]) -> None:
    reaction = required(message.reaction, "reaction")
    filled(reaction.message_id, "reaction.message_id")
    # An empty emoji takes a reaction back.
    required(reaction.emoji, "reaction.emoji")


_RULES: dict[str, Callable[[schema.Message, list[str]], None]] = {
    "text": _check_text,
    "image": lambda m, ids: check_media(m.image, "image", ids),
    "audio": lambda m, ids: check_media(m.audio, "audio", ids),
    "video": lambda m, ids: check_media(m.video, "video", ids),
    "document": lambda m, ids: check_media(m.document, "document", ids),
    "sticker": lambda m, ids: check_media(m.sticker, "sticker", ids),
    "location": lambda m, _ids: _check_location(m.location, "location"),
    "contacts": _check_contacts,
    "template": _check_template,
    "hsm": _check_hsm,
    "interactive": lambda m, ids: check_interactive(required(m.interactive, "interactive"), ids),
    "reaction": _check_reaction,
}

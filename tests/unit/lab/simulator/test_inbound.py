"""Inbound messages: what their form follows from, and a sentence for what cannot be built.

The v1 form of every type is held by the cases C40 to C44.
"""

from typing import Any

import msgspec
import pytest

from warouter._hash import slot_of
from warouter.lab.simulator.identity import Identities
from warouter.lab.simulator.inbound import LARGEST, build, with_identity

FROM = "491511234567"


def made(**asked: Any) -> dict[str, Any]:
    built = build({"from": FROM} | asked, "new", 1700000000)
    return msgspec.json.decode(built.payload, type=dict[str, Any])


def test_an_error_is_of_nobody_and_has_the_slot_of_its_sender() -> None:
    error = {"code": 1014, "title": "Internal error", "details": "d", "href": "/h"}
    built = build({"from": FROM, "type": "error", "error": error}, "new", 1)
    assert (built.id, built.wa_id, built.slot, built.contact) == ("new", "", slot_of(FROM), b"")
    assert msgspec.json.decode(built.payload) == error


@pytest.mark.parametrize(
    ("phone", "wa_id"),
    [
        ({"phone": "+49 151 123"}, "49151123"),
        ({"phone": "home"}, ""),
        ({}, ""),
        ({"phone": "1", "wa_id": "491511"}, "491511"),
    ],
)
def test_phones_of_contacts_always_say_a_wa_id(phone: dict[str, Any], wa_id: str) -> None:
    card = {"name": {"formatted_name": "Ann"}, "phones": [phone]}
    message = made(type="contacts", contacts=[card])
    assert message["contacts"][0]["phones"][0]["wa_id"] == wa_id


def test_inbound_fields_travel_and_the_default_type_is_text() -> None:
    given = {"id": "mine", "context": {"from": "49151", "id": "earlier"}}
    given |= {"referral": {"source_type": "ad"}, "identity": {"acknowledged": True, "hash": "h"}}
    message = made(body="x", timestamp=12, **given)
    assert given.items() <= message.items()
    assert (message["type"], message["timestamp"]) == ("text", "12")


def test_a_system_message_about_an_identity_carries_the_new_one() -> None:
    asked = {"type": "system", "system": {"type": "user_identity_changed", "body": "b"}}
    message = build({"from": FROM} | asked, "id", 1)
    assert message.new_identity
    identity = Identities().change(FROM, 20)
    shown = msgspec.json.decode(with_identity(message.payload, identity))
    assert shown["identity"] == msgspec.to_builtins(identity)
    assert shown["system"]["type"] == "user_identity_changed"
    assert not build({"from": FROM, "type": "system", "body": "b"}, "id", 1).new_identity


def test_the_sender_is_normalised_and_decides_the_slot() -> None:
    inbound = build({"from": "+49 (151) 123-4567", "body": "x", "name": "Ann"}, "new", 1)
    assert (inbound.wa_id, inbound.slot) == (FROM, slot_of(FROM))
    assert msgspec.json.decode(inbound.contact) == {"profile": {"name": "Ann"}, "wa_id": FROM}
    assert msgspec.json.decode(inbound.payload)["from"] == FROM


BAD: list[tuple[object, str]] = [
    ([], "JSON object"),
    ("text", "JSON object"),
    ({"body": "x"}, "from"),
    ({"from": 49151, "body": "x"}, "from"),
    ({"from": "abc", "body": "x"}, "digits"),
    ({"from": "123", "body": "x"}, "5 to 15"),
    ({"from": FROM}, '"body"'),
    ({"from": FROM, "type": "carrier pigeon"}, "the type must be one of"),
    ({"from": FROM, "type": ["text"]}, "the type must be one of"),
    ({"from": FROM, "text": {"body": 5}}, '"text": .*body'),
    ({"from": FROM, "text": "x"}, '"text" is a JSON object'),
    ({"from": FROM, "body": "x", "colour": "red"}, "colour"),
    ({"from": FROM, "type": "image"}, "data"),
    ({"from": FROM, "type": "image", "data": "not base64!"}, "base64"),
    ({"from": FROM, "type": "image", "data": "é"}, "base64"),
    ({"from": FROM, "type": "location", "body": "here"}, "location"),
    ({"from": FROM, "type": "location", "location": {"latitude": 91, "longitude": 0}}, "latitude"),
    ({"from": FROM, "type": "contacts", "contacts": {}}, "contacts"),
    ({"from": FROM, "type": "contacts", "contacts": [{}]}, "name"),
    ({"from": FROM, "type": "interactive", "interactive": {"type": "button_reply"}}, "interactive"),
    ({"from": FROM, "type": "interactive", "interactive": {"type": "x"}}, "interactive"),
    ({"from": FROM, "type": "error"}, "error"),
    ({"from": FROM, "type": "error", "error": {"code": "x", "title": "t"}}, "code"),
    ({"from": FROM, "type": "order", "order": {"catalog_id": "c"}}, "product_items"),
    ({"from": FROM, "body": "x" * LARGEST}, "at most"),
    ({"from": FROM, "body": "x", "id": ""}, "id"),
    ({"from": FROM, "body": "x", "timestamp": "now"}, "timestamp"),
]


@pytest.mark.parametrize(("asked", "says"), BAD)
def test_bad_input_is_a_sentence(asked: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build(asked, "new", 1)

"""The form of a callback: its schema, and what two receivers in the field make of it.

``judge_courier`` and ``judge_vumi`` refuse what those two would refuse.
"""

from __future__ import annotations

from typing import Any

import jsonschema_rs

MEDIA_TYPES = ("image", "audio", "voice", "video", "document", "sticker")
STATUSES = {"sending", "sent", "delivered", "read", "failed", "deleted", "warning"}
TEXT = {"type": "string"}
DIGITS = {"type": "string", "pattern": "^[0-9]+$"}
ERROR = {
    "type": "object",
    "required": ["code", "title"],
    "properties": {"code": {"type": "integer"}, "title": TEXT, "details": TEXT, "href": TEXT},
    "additionalProperties": False,
}
STATUS = {
    "type": "object",
    "required": ["id", "recipient_id", "message", "type", "status", "timestamp"],
    "properties": {
        "id": TEXT,
        "recipient_id": DIGITS,
        "message": {"type": "object", "required": ["recipient_id"]},
        "type": {"const": "message"},
        "status": {"enum": ["sent", "delivered", "read", "failed", "deleted", "warning"]},
        "timestamp": DIGITS,
        "conversation": {
            "type": "object",
            "required": ["id", "expiration_timestamp", "origin"],
            "properties": {"id": TEXT, "expiration_timestamp": {"type": "integer"}},
        },
        "pricing": {
            "type": "object",
            "required": ["pricing_model", "billable", "category"],
            "properties": {
                "pricing_model": {"enum": ["CBP", "NBP", "PMP"]},
                "billable": {"type": "boolean"},
            },
        },
        "errors": {"type": "array", "minItems": 1, "items": ERROR},
    },
    "if": {"properties": {"status": {"const": "failed"}}},
    "then": {"required": ["errors"], "not": {"required": ["pricing"]}},
    "else": {"not": {"required": ["errors"]}},
}
NAMED = [
    "text",
    "location",
    "contacts",
    "button",
    "interactive",
    "order",
    "system",
    "image",
    "voice",
]
MESSAGE = {
    "type": "object",
    "required": ["from", "id", "timestamp", "type"],
    "properties": {"from": DIGITS, "id": TEXT, "timestamp": DIGITS, "type": TEXT},
    "allOf": [
        {
            "if": {"properties": {"type": {"const": name}}},
            "then": {"required": [name]},
        }
        for name in NAMED
    ],
}
CONTACT = {
    "type": "object",
    "required": ["profile", "wa_id"],
    "properties": {
        "profile": {"type": "object", "required": ["name"], "properties": {"name": TEXT}},
        "wa_id": DIGITS,
    },
}
CALLBACK = {
    "type": "object",
    "minProperties": 1,
    "properties": {
        name: {"type": "array", "minItems": 1, "items": items}
        for name, items in (
            ("contacts", CONTACT),
            ("messages", MESSAGE),
            ("statuses", STATUS),
            ("errors", ERROR),
        )
    },
    "additionalProperties": False,
}
check: Any = jsonschema_rs.Draft202012Validator(CALLBACK).validate


def judge_courier(body: dict[str, Any]) -> None:
    """What courier reads of a callback: AssertionError where it would not understand it."""
    for contact in body.get("contacts", ()):
        assert isinstance(contact["profile"]["name"], str)
        assert contact["wa_id"].isdigit()
    for message in body.get("messages", ()):
        for key in ("from", "id", "timestamp", "type"):
            assert isinstance(message[key], str), key
            assert message[key]
        assert message["timestamp"].isdigit()
        _judge_object(message)
    for status in body.get("statuses", ()):
        assert isinstance(status["id"], str)
        assert status["status"] in STATUSES
        assert isinstance(status["timestamp"], str)
        assert status["timestamp"].isdigit()


def _judge_object(message: dict[str, Any]) -> None:
    kind = message["type"]
    content = message.get(kind)
    match kind:
        case "text":
            assert isinstance(content["body"], str)
        case "location":
            assert isinstance(content["latitude"], int | float)
            assert isinstance(content["longitude"], int | float)
        case "button":
            assert isinstance(content["text"], str)
            assert "payload" in content
        case "interactive":
            reply = content[content["type"]]
            if content["type"] in ("button_reply", "list_reply"):
                assert isinstance(reply["id"], str)
                assert isinstance(reply["title"], str)
        case "contacts":
            for card in content:
                assert card["name"]["formatted_name"]
        case _ if kind in MEDIA_TYPES:
            assert content["mime_type"]
            assert content["sha256"]
            if "id" not in content:
                assert content["status"] == "undownloaded"
            else:
                assert isinstance(content["id"], str)


def judge_vumi(body: dict[str, Any]) -> None:
    """The schema of vumi-whatsapp's receiver, which answers 400 to what breaks it."""
    assert set(body) & {"messages", "statuses", "errors"}
    for message in body.get("messages", ()):
        if message["type"] not in ("unknown", "ephemeral"):
            assert message["type"] in message, "the object named by type must be there"
        for error in message.get("errors", ()):
            assert isinstance(error["code"], int)
            assert error["title"]
    for status in body.get("statuses", ()):
        assert status.get("pricing", {}).get("pricing_model", "CBP") in ("CBP", "NBP", "PMP")
        for error in status.get("errors", ()):
            assert isinstance(error["code"], int)
            assert error["title"]

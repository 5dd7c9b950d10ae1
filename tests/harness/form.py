"""The form of a callback, as two receivers in the field (courier, vumi-whatsapp) read it too."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

WITHOUT_OBJECT = ("unknown", "ephemeral")
TEXT = {"type": "string"}
FULL = {"type": "string", "minLength": 1}
NUMBER = {"type": "number"}
DIGITS = {"type": "string", "pattern": "^[0-9]+$"}
ERROR = {
    "type": "object",
    "required": ["code", "title"],
    "properties": {"code": {"type": "integer"}, "title": FULL, "details": TEXT, "href": TEXT},
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
MEDIA = {
    "required": ["mime_type", "sha256"],
    "properties": {"mime_type": FULL, "sha256": FULL, "id": TEXT},
    "if": {"not": {"required": ["id"]}},
    "then": {"required": ["status"], "properties": {"status": {"const": "undownloaded"}}},
}
NAME = {"required": ["formatted_name"], "properties": {"formatted_name": FULL}}
REPLY = {"required": ["id", "title"], "properties": {"id": TEXT, "title": TEXT}}
MESSAGE = {
    "type": "object",
    "required": ["from", "id", "timestamp", "type"],
    "properties": {
        **dict.fromkeys(("image", "audio", "voice", "video", "document", "sticker"), MEDIA),
        "from": {**DIGITS, **FULL},
        "id": FULL,
        "timestamp": DIGITS,
        "type": FULL,
        "text": {"required": ["body"], "properties": {"body": TEXT}},
        "location": {
            "required": ["latitude", "longitude"],
            "properties": {"latitude": NUMBER, "longitude": NUMBER},
        },
        "button": {"required": ["text", "payload"], "properties": {"text": TEXT}},
        "interactive": {"properties": {"button_reply": REPLY, "list_reply": REPLY}},
        "contacts": {"items": {"required": ["name"], "properties": {"name": NAME}}},
        "errors": {"items": ERROR},
    },
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
    "anyOf": [{"required": [name]} for name in ("messages", "statuses", "errors")],
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
_VALIDATOR = jsonschema_rs.Draft202012Validator(CALLBACK)


def check(body: dict[str, Any]) -> None:
    """ValidationError or AssertionError where one of them would not understand it."""
    _VALIDATOR.validate(body)
    for message in body.get("messages", ()):
        if message["type"] not in WITHOUT_OBJECT:
            assert message["type"] in message, "the object named by type must be there"
        if reply := message.get("interactive"):
            assert reply["type"] in reply

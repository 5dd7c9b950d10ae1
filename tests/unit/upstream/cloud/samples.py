"""Webhooks as Meta sends them, with made-up values."""

from __future__ import annotations

import json
from typing import Any

from warouter.upstream.cloud.batch import Element
from warouter.upstream.cloud.elements import read
from warouter.upstream.cloud.reference import reference

NUMBER = "106540352242922"  # the id of our phone number
OWNED = {NUMBER: 1}
OUR_ID = bytes([1, 7, *range(18)])
OURS = reference(OUR_ID, 1)
SENT_WAMID = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBI5QTNEQTA2RjdGMEY4RTRGAA=="
DIGEST = "SfInY0gGKTsJlUWbwxC1k+FAD0FZHvzwfpvO0zX0GUI="
HEX = "49f227634806293b0995459bc310b593e1400f41591efcf07e9bced335f41942"

Json = dict[str, Any]


def value(**parts: Any) -> Json:
    metadata = {"display_phone_number": "15557770000", "phone_number_id": NUMBER}
    return {"messaging_product": "whatsapp", "metadata": metadata, **parts}


def change(field: str = "messages", **parts: Any) -> Json:
    return {"field": field, "value": value(**parts)}


def entry(*changes: Any, **parts: Any) -> Json:
    return {"id": "1020", "changes": list(changes), **parts}


def envelope(*entries: Any) -> bytes:
    """The body of a POST, ASCII as Meta writes it."""
    top = {"object": "whatsapp_business_account", "entry": list(entries)}
    return json.dumps(top, separators=(",", ":")).encode()


def webhook(*changes: Any) -> bytes:
    return envelope(entry(*changes))


def elements(*changes: Any) -> list[Element]:
    return read(webhook(*changes), OWNED).elements


def only(**parts: Any) -> Element:
    """The only element of a webhook with these parts in its value."""
    (element,) = elements(change(**parts))
    return element


def dumped(found: object) -> bytes:
    return json.dumps(found, separators=(",", ":")).encode()


ANN = {"profile": {"name": "Ann"}, "wa_id": "15550001111", "user_id": "US.1122334455"}
ANN_WITHOUT_NUMBER = {
    "profile": {"name": "Ann", "username": "ann.x"},
    "user_id": "US.1122334455",
}
BEA = {"profile": {"name": "Bea"}, "wa_id": "5511900002222", "user_id": "BR.99"}
DELIVERED = {
    "id": SENT_WAMID,
    "status": "delivered",
    "timestamp": "1764000000",
    "recipient_id": "15550001111",
    "recipient_user_id": "US.1122334455",
    "biz_opaque_callback_data": OURS,
    "pricing": {
        "billable": True,
        "pricing_model": "PMP",
        "type": "regular",
        "category": "utility",
    },
}
FAILED = {
    "id": SENT_WAMID,
    "status": "failed",
    "timestamp": "1764000002",
    "recipient_id": "15550001111",
    "errors": [
        {
            "code": 131026,
            "title": "Message undeliverable",
            "message": "Message undeliverable",
            "error_data": {"details": "Message Undeliverable."},
            "href": "/documentation/business-messaging/whatsapp/support/error-codes",
        }
    ],
}
TEXT = {
    "from": "15550001111",
    "id": "wamid.HBgText",
    "timestamp": "1764000003",
    "type": "text",
    "text": {"body": "hi"},
}
NUMBERLESS = {
    "from_user_id": "US.1122334455",
    "id": "wamid.HBgNumberless",
    "timestamp": "1764000003",
    "type": "text",
    "text": {"body": "no number here"},
}
VOICE = {
    "from": "5511900002222",
    "id": "wamid.HBgVoice",
    "timestamp": "1764000004",
    "type": "audio",
    "audio": {
        "mime_type": "audio/ogg; codecs=opus",
        "sha256": DIGEST,
        "id": "1037543291543636",
        "url": "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1037543291543636",
        "voice": True,
    },
    "context": {"from": "15557770000", "id": SENT_WAMID},
}
NEW_NUMBER = {
    "from": "15550001111",
    "id": "wamid.HBgSystem",
    "timestamp": "1764000005",
    "type": "system",
    "system": {
        "body": "User Ann changed from 15550001111 to 15550003333",
        "wa_id": "15550003333",
        "user_id": "US.77",
        "previous_user_id": "US.1122334455",
        "type": "user_changed_number",
    },
}
WEBHOOK_LOST = {
    "code": 131035,
    "title": "Webhook could not be delivered",
    "message": "Webhook could not be delivered",
    "error_data": {"details": "It was tried for an hour."},
}
REACTION = {
    "from": "15550001111",
    "id": "wamid.HBgReaction",
    "timestamp": "1764000006",
    "type": "reaction",
    "reaction": {"message_id": SENT_WAMID, "emoji": "\N{THUMBS UP SIGN}"},
}
REVOKE = {
    "from": "15550001111",
    "id": "wamid.HBgRevoke",
    "timestamp": "1764000007",
    "type": "revoke",
    "revoke": {"original_message_id": "wamid.HBgText"},
}
UNSUPPORTED = {
    "from": "15550001111",
    "id": "wamid.HBgUnsupported",
    "timestamp": "1764000008",
    "type": "unsupported",
    "errors": [
        {
            "code": 131051,
            "title": "Message type unknown",
            "message": "Message type unknown",
            "error_data": {"details": "Message type is currently not supported."},
        }
    ],
    "unsupported": {"type": "poll"},
}
MESSAGES = (TEXT, NUMBERLESS, VOICE, NEW_NUMBER, REACTION, REVOKE, UNSUPPORTED)
VALUES = (
    value(contacts=[ANN], statuses=[DELIVERED]),
    value(statuses=[FAILED]),
    value(contacts=[ANN_WITHOUT_NUMBER], messages=[NUMBERLESS]),
    value(contacts=[BEA], messages=[VOICE]),
    value(messages=[NEW_NUMBER]),
    value(errors=[WEBHOOK_LOST]),
    value(contacts=[ANN], messages=[TEXT, REACTION, REVOKE, UNSUPPORTED]),
)

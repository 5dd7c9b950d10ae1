"""Messages of v1, one of every kind that becomes another body for the Graph API.

``PICTURE`` stands for a link to a picture, ``UPLOAD`` for the v1 id of an uploaded one, ``OURS``
for a message that was sent, ``THEIRS`` for one that came, ``ALIAS`` for a user without a number.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
PICTURE, UPLOAD, OURS, THEIRS = "<picture>", "<upload>", "<ours>", "<theirs>"
ALIAS = "<alias>"
LANGUAGE = {"policy": "deterministic", "code": "en_US"}


def interactive(kind: str, action: Json, **more: Any) -> Json:
    made = {"type": kind, "body": {"text": "choose"}, "action": action, **more}
    return {"type": "interactive", "recipient_type": "individual", "interactive": made}


def named(kind: str, name: str, **parameters: Any) -> Json:
    """An interactive message whose action has a name."""
    given = {"parameters": parameters} if parameters else {}
    return interactive(kind, {"name": name} | given)


def template(*components: Json) -> Json:
    given = {"components": list(components)} if components else {}
    said = {"namespace": "shop", "name": "order_sent", "language": LANGUAGE, **given}
    return {"type": "template", "template": said}


def body(*parameters: Json) -> Json:
    return {"type": "body", "parameters": list(parameters)}


def header(kind: str, **media: str) -> Json:
    return {"type": "header", "parameters": [{"type": kind, kind: media}]}


def button(sub_type: str, index: object, **parameter: str) -> Json:
    return {"type": "button", "sub_type": sub_type, "index": index, "parameters": [parameter]}


TEXT = {"type": "text", "text": "4711"}
REPLIES = {
    "buttons": [
        {"type": "reply", "reply": {"id": "yes", "title": "Yes"}},
        {"type": "reply", "reply": {"id": "no", "title": "No"}},
    ]
}
ROWS = [{"id": "1", "title": "One", "description": "the first"}, {"id": "2", "title": "Two"}]
PRODUCTS = [{"title": "all", "product_items": [{"product_retailer_id": "p"}]}]
CARD = {
    "name": {"formatted_name": "Ann B", "first_name": "Ann", "last_name": "B"},
    "birthday": "2001-02-03",
    "phones": [{"phone": "+49 151 12345", "type": "WORK", "wa_id": "4915112345"}],
    "emails": [{"email": "ann@example.org", "type": "WORK"}],
    "addresses": [{"street": "a", "city": "b", "zip": "1", "country_code": "DE", "type": "HOME"}],
    "org": {"company": "c", "department": "d", "title": "t"},
    "urls": [{"url": "https://example.org", "type": "WORK"}],
}
ADDRESS = {"country": "IN", "values": {"name": "Ann"}}
STATUS = {"reference_id": "o1", "order": {"status": "processing"}}
FLOW = {
    "flow_message_version": "3",
    "flow_token": "t",
    "flow_id": "1",
    "flow_cta": "Book",
    "flow_action": "navigate",
    "flow_action_payload": {"screen": "FIRST"},
}
CARDS = [
    {
        "card_index": n,
        "components": [
            header("image", link=PICTURE),
            button("quick_reply", n, type="payload", payload="p"),
        ],
    }
    for n in range(2)
]

BODIES: dict[str, Json] = {
    "text": {"text": {"body": "hi \u00e4 \U0001f44d"}},
    "text with a preview": {"text": {"body": "https://example.org"}, "preview_url": True},
    "text that quotes ours": {"text": {"body": "re"}, "context": {"message_id": OURS}},
    "text that quotes theirs": {"text": {"body": "re"}, "context": {"message_id": THEIRS}},
    "text to a user without a number": {"to": ALIAS, "text": {"body": "hi"}},
    "image by link": {"type": "image", "image": {"link": PICTURE, "caption": "c"}},
    "image by id": {"type": "image", "image": {"id": UPLOAD, "caption": "c"}},
    "video": {"type": "video", "video": {"id": UPLOAD, "caption": "c"}},
    "audio": {"type": "audio", "audio": {"id": UPLOAD}},
    "document": {
        "type": "document",
        "document": {"id": UPLOAD, "filename": "f.pdf", "caption": "c"},
    },
    "sticker": {"type": "sticker", "sticker": {"id": UPLOAD}},
    "location": {
        "type": "location",
        "location": {"latitude": 52.5, "longitude": -13.25, "name": "n", "address": "a"},
    },
    "contacts": {"type": "contacts", "contacts": [CARD]},
    "contacts with a mobile number": {
        "type": "contacts",
        "contacts": [CARD | {"phones": [{"phone": "+49 151 12345", "type": "CELL"}]}],
    },
    "reaction": {"type": "reaction", "reaction": {"message_id": OURS, "emoji": "\U0001f44d"}},
    "reaction taken back": {"type": "reaction", "reaction": {"message_id": THEIRS, "emoji": ""}},
    "buttons": interactive(
        "button", REPLIES, header={"type": "text", "text": "h"}, footer={"text": "f"}
    ),
    "buttons with an image": interactive(
        "button", REPLIES, header={"type": "image", "image": {"id": UPLOAD}}
    ),
    "list": interactive("list", {"button": "Open", "sections": [{"title": "all", "rows": ROWS}]}),
    "product": interactive("product", {"catalog_id": "1", "product_retailer_id": "p"}),
    "product list": interactive(
        "product_list",
        {"catalog_id": "1", "sections": PRODUCTS},
        header={"type": "text", "text": "h"},
    ),
    "catalog": named("catalog_message", "catalog_message", thumbnail_product_retailer_id="p"),
    "location request": named("location_request_message", "send_location"),
    "flow": named("flow", "flow", **FLOW),
    "url button": named("cta_url", "cta_url", display_text="Open", url="https://example.org"),
    "address": named("address_message", "address_message", **ADDRESS),
    "order status": named("order_status", "review_order", **STATUS),
    "template": template(),
    "template with texts": template(body(TEXT, TEXT | {"parameter_name": "name"})),
    "template with money and time": template(
        body(
            {
                "type": "currency",
                "currency": {"fallback_value": "5 EUR", "code": "EUR", "amount_1000": 5000},
            },
            {"type": "date_time", "date_time": {"fallback_value": "now", "day_of_week": 5}},
        )
    ),
    "template with an image": template(header("image", link=PICTURE), body(TEXT)),
    "template with a document": template(header("document", id=UPLOAD, filename="f.pdf")),
    "template with buttons": template(
        button("quick_reply", "0", type="payload", payload="p"),
        button("url", 1, type="text", text="4711"),
    ),
    "template with a coupon": template(
        button("copy_code", 0, type="coupon_code", coupon_code="SAVE5")
    ),
    "carousel": template(body(TEXT), {"type": "carousel", "cards": CARDS}),
    "hsm": {
        "type": "hsm",
        "hsm": {
            "namespace": "shop",
            "element_name": "order_sent",
            "language": {"policy": "fallback", "code": "en_US"},
            "localizable_params": [{"default": "4711"}],
        },
    },
}


def filled(value: Any, given: dict[str, str]) -> Any:
    """The body with what stands for other things replaced."""
    if isinstance(value, dict):
        return {key: filled(one, given) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, given) for one in value]
    return given.get(value, value) if isinstance(value, str) else value

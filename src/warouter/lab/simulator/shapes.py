"""The fields that each type of inbound message must have. Pure.

What else such an object has travels on untouched.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Text(msgspec.Struct):
    body: str


class Media(msgspec.Struct):
    mime_type: str
    sha256: str
    caption: str | None = None
    filename: str | None = None


class Location(msgspec.Struct):
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    name: str | None = None
    address: str | None = None
    url: str | None = None


class ContactName(msgspec.Struct):
    formatted_name: str


class ContactCard(msgspec.Struct):
    name: ContactName
    phones: list[dict[str, Any]] = []


class Error(msgspec.Struct):
    code: int
    title: str
    details: str | None = None
    href: str | None = None


class Button(msgspec.Struct):
    text: str
    payload: str | None = None


class ButtonReply(msgspec.Struct):
    id: str
    title: str


class ListReply(msgspec.Struct):
    id: str
    title: str
    description: str | None = None


class FlowReply(msgspec.Struct):
    response_json: str
    body: str
    name: str


class Interactive(msgspec.Struct):
    type: str
    button_reply: ButtonReply | None = None
    list_reply: ListReply | None = None
    nfm_reply: FlowReply | None = None

    def __post_init__(self) -> None:
        replies = {
            "button_reply": self.button_reply,
            "list_reply": self.list_reply,
            "nfm_reply": self.nfm_reply,
        }
        if replies.get(self.type) is None:
            raise ValueError(
                "an interactive reply has the type button_reply, list_reply or nfm_reply, and the "
                "object of that name"
            )


class Product(msgspec.Struct):
    product_retailer_id: str
    quantity: float | str
    item_price: float | str
    currency: str


class Order(msgspec.Struct):
    catalog_id: str
    product_items: list[Product]
    text: str | None = None


class System(msgspec.Struct):
    body: str
    type: str

"""The fields that each type of inbound message must have. Pure.

What else such an object has travels on untouched.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta


class TextShape(msgspec.Struct):
    body: str


class MediaShape(msgspec.Struct):
    mime_type: str
    sha256: str
    caption: str | None = None
    filename: str | None = None


class LocationShape(msgspec.Struct):
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    name: str | None = None
    address: str | None = None
    url: str | None = None


class ContactNameShape(msgspec.Struct):
    formatted_name: str


class ContactShape(msgspec.Struct):
    name: ContactNameShape
    phones: list[dict[str, Any]] = []


class ErrorShape(msgspec.Struct):
    code: int
    title: str
    details: str | None = None
    href: str | None = None


class ButtonShape(msgspec.Struct):
    text: str
    payload: str | None = None


class ButtonReplyShape(msgspec.Struct):
    id: str
    title: str


class ListReplyShape(msgspec.Struct):
    id: str
    title: str
    description: str | None = None


class FlowReplyShape(msgspec.Struct):
    response_json: str
    body: str
    name: str


class InteractiveShape(msgspec.Struct):
    type: str
    button_reply: ButtonReplyShape | None = None
    list_reply: ListReplyShape | None = None
    nfm_reply: FlowReplyShape | None = None

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


class ProductShape(msgspec.Struct):
    product_retailer_id: str
    quantity: float | str
    item_price: float | str
    currency: str


class OrderShape(msgspec.Struct):
    catalog_id: str
    product_items: list[ProductShape]
    text: str | None = None


class SystemShape(msgspec.Struct):
    body: str
    type: str

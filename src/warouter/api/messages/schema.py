"""Bodies of POST /v1/messages, one Struct an object, one field a wire name.

Pure: types only. Everything is optional and nullable here, since senders leave ``type`` out, send
``caption: null`` and carry empty objects of other types along; what a type really needs is in
``validate.py``. Decoded in lax mode, so that numbers may come as strings. Unknown keys are skipped.
"""

from __future__ import annotations

import msgspec

# Limits of the v1 reference, in characters (code points) or in elements.
TEXT_CHARS = 4096
HEADER_CHARS = 60
FOOTER_CHARS = 60
BUTTON_CHARS = 20
BUTTON_ID_CHARS = 256
SECTION_TITLE_CHARS = 24
ROW_TITLE_CHARS = 24
ROW_ID_CHARS = 200
ROW_DESCRIPTION_CHARS = 72
LINK_CHARS = 2048
BUTTONS = 3
SECTIONS = 10
ROWS = 10
PRODUCTS = 30


class RequestObject(msgspec.Struct, gc=False):
    """Base of request types: trees without cycles, so that the garbage collector can skip them."""


class Provider(RequestObject):
    name: str | None = None


class Media(RequestObject):
    """An image, audio, video, document or sticker, with exactly one of ``id`` and ``link``."""

    id: str | None = None
    link: str | None = None
    caption: str | None = None
    filename: str | None = None
    provider: Provider | None = None


class Text(RequestObject):
    body: str | None = None
    preview_url: bool | None = None  # belongs to the top level; some senders put it here


class Location(RequestObject):
    latitude: float | None = None
    longitude: float | None = None
    name: str | None = None
    address: str | None = None


# ---------------------------------------------------------------- contacts


class ContactName(RequestObject):
    formatted_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    middle_name: str | None = None
    suffix: str | None = None
    prefix: str | None = None


class Phone(RequestObject):
    phone: str | None = None
    type: str | None = None
    wa_id: str | None = None


class Email(RequestObject):
    email: str | None = None
    type: str | None = None


class Address(RequestObject):
    street: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    country_code: str | None = None
    type: str | None = None


class Organisation(RequestObject):
    company: str | None = None
    department: str | None = None
    title: str | None = None


class Url(RequestObject):
    url: str | None = None
    type: str | None = None


class Contact(RequestObject):
    name: ContactName | None = None
    phones: list[Phone] | None = None
    emails: list[Email] | None = None
    addresses: list[Address] | None = None
    org: Organisation | None = None
    urls: list[Url] | None = None
    birthday: str | None = None


# ---------------------------------------------------------------- template and hsm


class Language(RequestObject):
    policy: str | None = None
    code: str | None = None


class Currency(RequestObject):
    """An amount of money; ``currency_code`` is hsm's name for ``code``."""

    fallback_value: str | None = None
    code: str | None = None
    currency_code: str | None = None
    amount_1000: int | float | str | None = None


class DateTime(RequestObject):
    """A date or time, of which the upstream checks the form."""

    fallback_value: str | None = None


class Parameter(RequestObject):
    type: str | None = None
    text: str | None = None
    payload: str | None = None
    currency: Currency | None = None
    date_time: DateTime | None = None
    image: Media | None = None
    video: Media | None = None
    document: Media | None = None
    location: Location | None = None


class Component(RequestObject):
    type: str | None = None
    sub_type: str | None = None
    index: int | None = None
    parameters: list[Parameter] | None = None
    cards: list[Card] | None = None  # of a carousel


class Card(RequestObject):
    card_index: int | None = None
    components: list[Component] | None = None


class Template(RequestObject):
    name: str | None = None
    namespace: str | None = None
    language: Language | None = None
    components: list[Component] | None = None


class HsmParameter(RequestObject):
    default: str | None = None
    currency: Currency | None = None
    date_time: DateTime | None = None


class Hsm(RequestObject):
    namespace: str | None = None
    element_name: str | None = None
    language: Language | None = None
    localizable_params: list[HsmParameter] | None = None


# ---------------------------------------------------------------- interactive


class Header(RequestObject):
    type: str | None = None
    text: str | None = None
    image: Media | None = None
    video: Media | None = None
    document: Media | None = None


class Words(RequestObject):
    """Body or footer of an interactive message."""

    text: str | None = None


class Reply(RequestObject):
    id: str | None = None
    title: str | None = None


class Button(RequestObject):
    type: str | None = None
    reply: Reply | None = None


class Row(RequestObject):
    id: str | None = None
    title: str | None = None
    description: str | None = None


class ProductItem(RequestObject):
    product_retailer_id: str | None = None


class Section(RequestObject):
    title: str | None = None
    rows: list[Row] | None = None
    product_items: list[ProductItem] | None = None


class Action(RequestObject):
    button: str | None = None
    buttons: list[Button] | None = None
    sections: list[Section] | None = None
    catalog_id: str | None = None
    product_retailer_id: str | None = None


class Interactive(RequestObject):
    type: str | None = None
    header: Header | None = None
    body: Words | None = None
    footer: Words | None = None
    action: Action | str | None = None  # text: the JSON of one


# ---------------------------------------------------------------- the message


class Reaction(RequestObject):
    message_id: str | None = None
    emoji: str | None = None


class Quoted(RequestObject):
    message_id: str | None = None


class Message(RequestObject):
    to: str | None = None
    recipient_type: str | None = None
    type: str | None = None
    preview_url: bool | None = None
    ttl: int | str | None = None
    context: Quoted | None = None
    text: Text | None = None
    image: Media | None = None
    audio: Media | None = None
    video: Media | None = None
    document: Media | None = None
    sticker: Media | None = None
    location: Location | None = None
    contacts: list[Contact] | None = None
    template: Template | None = None
    hsm: Hsm | None = None
    interactive: Interactive | None = None
    reaction: Reaction | None = None

"""Interactive messages: lists, reply buttons, products. Pure."""

from __future__ import annotations

from warouter.api.messages import schema
from warouter.api.messages.rules import check_media, filled, filled_list, one_of, required, short
from warouter.errors import MessageTooLong, ParameterInvalid, ParameterMissing

# The regional types of the product's last years are the upstream's to judge.
_PASSED_ON = (
    "address_message",
    "location_request_message",
    "catalog_message",
    "order_details",
    "order_status",
    "flow",
    "cta_url",
)
TYPES = ("list", "button", "product", "product_list", *_PASSED_ON)
_PATH = "interactive"


def check_interactive(message: schema.Interactive, ids: list[str]) -> None:
    """Raises an ApiError that names the wrong parameter; adds the header's media ids to ``ids``."""
    kind = one_of(message.type, f"{_PATH}.type", TYPES)
    if message.header is not None:
        _check_header(message.header, kind, ids)
    if message.footer is not None:
        short(message.footer.text, f"{_PATH}.footer.text", schema.FOOTER_CHARS)
    # A product shows its own words: the text is optional there alone.
    if message.body is not None or kind != "product":
        _check_body(message.body)
    if kind in _PASSED_ON:
        return
    assert not isinstance(message.action, str)  # ``parse_message`` has put the object there
    action = required(message.action, f"{_PATH}.action")
    if kind == "button":
        _check_buttons(action)
    elif kind == "list":
        _check_list(action)
    else:
        filled(action.catalog_id, f"{_PATH}.action.catalog_id")
        if kind == "product":
            filled(action.product_retailer_id, f"{_PATH}.action.product_retailer_id")
        else:
            _check_products(message.header, action)


def _check_body(body: schema.Words | None) -> None:
    text = filled(required(body, f"{_PATH}.body").text, f"{_PATH}.body.text")
    if len(text) > schema.TEXT_CHARS:
        raise MessageTooLong(
            f"{_PATH}.body.text has {len(text)} characters, at most {schema.TEXT_CHARS} are allowed"
        )


def _check_header(header: schema.Header, kind: str, ids: list[str]) -> None:
    path = f"{_PATH}.header"
    # Lists and products show only a text above the text.
    media = kind == "button" or kind in _PASSED_ON
    allowed = ("text", "image", "video", "document") if media else ("text",)
    shown = one_of(header.type, f"{path}.type", allowed)
    if shown == "text":
        filled(header.text, f"{path}.text", schema.HEADER_CHARS)
    else:
        check_media(getattr(header, shown), f"{path}.{shown}", ids)


def _check_buttons(action: schema.Action) -> None:
    path = f"{_PATH}.action.buttons"
    for n, button in enumerate(filled_list(action.buttons, path, schema.BUTTONS)):
        one_of(button.type, f"{path}[{n}].type", ("reply",))
        reply = required(button.reply, f"{path}[{n}].reply")
        filled(reply.id, f"{path}[{n}].reply.id", schema.BUTTON_ID_CHARS)
        filled(reply.title, f"{path}[{n}].reply.title", schema.BUTTON_CHARS)


def _check_list(action: schema.Action) -> None:
    filled(action.button, f"{_PATH}.action.button", schema.BUTTON_CHARS)
    path = f"{_PATH}.action.sections"
    sections = filled_list(action.sections, path, schema.SECTIONS)
    rows = 0
    for n, section in enumerate(sections):
        _check_title(section, len(sections), f"{path}[{n}].title")
        for m, row in enumerate(filled_list(section.rows, f"{path}[{n}].rows")):
            _check_row(row, f"{path}[{n}].rows[{m}]")
            rows += 1
    if rows > schema.ROWS:
        raise ParameterInvalid(f"{path} have {rows} rows in all, at most {schema.ROWS} are allowed")


def _check_row(row: schema.Row, path: str) -> None:
    filled(row.id, f"{path}.id", schema.ROW_ID_CHARS)
    filled(row.title, f"{path}.title", schema.ROW_TITLE_CHARS)
    short(row.description, f"{path}.description", schema.ROW_DESCRIPTION_CHARS)


def _check_products(header: schema.Header | None, action: schema.Action) -> None:
    if header is None:
        raise ParameterMissing(f"{_PATH}.header is required for a product_list")
    path = f"{_PATH}.action.sections"
    sections = filled_list(action.sections, path, schema.SECTIONS)
    products = 0
    for n, section in enumerate(sections):
        _check_title(section, len(sections), f"{path}[{n}].title")
        items = filled_list(section.product_items, f"{path}[{n}].product_items")
        for m, item in enumerate(items):
            filled(item.product_retailer_id, f"{path}[{n}].product_items[{m}].product_retailer_id")
        products += len(items)
    if products > schema.PRODUCTS:
        raise ParameterInvalid(
            f"{path} have {products} products in all, at most {schema.PRODUCTS} are allowed"
        )


def _check_title(section: schema.Section, sections: int, path: str) -> None:
    """A single section needs no title; several need one each."""
    if sections > 1:
        filled(section.title, path)
    short(section.title, path, schema.SECTION_TITLE_CHARS)

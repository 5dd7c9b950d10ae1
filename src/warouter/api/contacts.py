"""POST /v1/contacts.

From v2.43 of the API on every number is `valid`: whether it is on WhatsApp shows when something is
sent. So the answer is ready at once, for `wait` and `no_wait` alike, and there is nothing to check
by force; `invalid` is what is no number.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from aiohttp import web

from warouter.api.context import Context
from warouter.api.envelope import success
from warouter.api.replies import ContactsAnswer
from warouter.api.request import read_json
from warouter.api.route import Access, Route
from warouter.api.rules import filled_list
from warouter.api.tokens import Caller
from warouter.errors import BodyTooLarge, ParameterInvalid, ParameterMissing
from warouter.recipient import wa_id


class ContactsRequest(msgspec.Struct, frozen=True):
    contacts: list[str]
    blocking: Literal["wait", "no_wait"] | None = None
    force_check: bool | None = None


_CONTACTS = msgspec.json.Decoder(ContactsRequest, strict=False)


async def check(context: Context, request: web.Request, _caller: Caller) -> web.Response:
    """One element a number, in the order and in the spelling of the request."""
    asked = await read_json(request, context.config.contacts_limit, _CONTACTS)
    filled_list(asked.contacts, "contacts")
    return success({"contacts": [_checked(number) for number in asked.contacts]})


def _checked(number: str) -> dict[str, Any]:
    try:
        return {"input": number, "status": "valid", "wa_id": wa_id(number)}
    except ValueError:
        return {"input": number, "status": "invalid"}


ROUTES = (
    Route(
        "POST",
        "/v1/contacts",
        Access.USER,
        check,
        "The wa_id of each number",
        body=ContactsRequest,
        answer=ContactsAnswer,
        errors=(ParameterMissing, ParameterInvalid, BodyTooLarge),
    ),
)

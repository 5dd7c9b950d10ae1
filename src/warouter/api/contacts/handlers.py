"""POST /v1/contacts: the wa_id of each number, and its status.

From v2.43 of the API on every number is `valid`; `invalid` is what is no number. Whether the
upstream is asked, as before, is the contact book's matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.contacts.book import ContactStatus
from warouter.api.contacts.numbers import is_national, read
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.messages.rules import filled_list
from warouter.api.route import Access, Route
from warouter.http.envelope import success
from warouter.http.request import read_json

_AT_ONCE = 200  # spellings that are read in one turn of the loop


class ContactsRequest(msgspec.Struct, frozen=True):
    """Numbers to check; ``blocking`` is ``no_wait`` (the default) or ``wait``."""

    contacts: list[str]
    blocking: Literal["wait", "no_wait"] | None = None
    force_check: bool | None = None


class CheckedContact(msgspec.Struct, frozen=True, omit_defaults=True):
    """``input`` is the number as it was sent; ``wa_id`` is present only if the number is valid."""

    input: str
    status: ContactStatus
    wa_id: str | None = None


_CONTACTS = msgspec.json.Decoder(ContactsRequest, strict=False)


async def check(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """One element for each number, in the order and spelling of the request."""
    asked = await read_json(request, context.config.contacts_limit, _CONTACTS)
    spellings = filled_list(asked.contacts, "contacts")
    numbers = await _read(context, caller.number, spellings)
    statuses = await context.contacts.check(
        caller.number,
        {number for number in numbers if number is not None},
        wait=asked.blocking == "wait",
        force=bool(asked.force_check),
    )
    pairs = zip(spellings, numbers, strict=True)
    return success({"contacts": [_shown(spelling, wa_id, statuses) for spelling, wa_id in pairs]})


async def _read(context: Context, number: int, spellings: Sequence[str]) -> list[str | None]:
    country_code: str | None = None
    numbers: list[str | None] = []
    for start in range(0, len(spellings), _AT_ONCE):
        some = spellings[start : start + _AT_ONCE]
        if country_code is None and any(map(is_national, some)):
            account = await context.accounts.account(number)
            country_code = account.cc if account else ""
        numbers += [read(spelling, country_code) for spelling in some]
        await asyncio.sleep(0)  # others wait for the loop
    return numbers


def _shown(spelling: str, wa_id: str | None, statuses: dict[str, ContactStatus]) -> CheckedContact:
    status = "invalid" if wa_id is None else statuses[wa_id]
    return CheckedContact(spelling, status, wa_id if status == "valid" else None)


ROUTES = (
    Route(
        "POST",
        "/v1/contacts",
        Access.USER,
        Scope.SEND,
        check,
        body=ContactsRequest,
        answer=within("contacts", list[CheckedContact], "CheckedContacts"),
    ),
)

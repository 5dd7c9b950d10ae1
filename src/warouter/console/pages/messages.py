"""The list of messages: the newest, or what a search finds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from warouter.console.context import ConsoleContext
from warouter.console.page import Page
from warouter.console.visit import ReadingKey
from warouter.store.views.messages.asked import OPTIONS, absolute, command_of, search_of
from warouter.store.views.messages.found import (
    DIRECTIONS,
    KINDS,
    STATES,
    FoundMessage,
    MessageListing,
    Search,
)
from warouter.store.views.messages.read import read_messages

PATH = "/console/messages"
# The levels of ui.state; what is not here is "off".
LEVELS = {
    "sent": "good",
    "delivered": "good",
    "read": "good",
    "received": "good",
    "parked": "warn",
    "in_doubt": "warn",
    "held": "warn",
    "failed": "bad",
}
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class MessageRow(NamedTuple):
    """One message as its row shows it."""

    message: FoundMessage
    anchor: str
    href: str
    state: str
    level: str


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    """The values of the page. A search that cannot be meant is told beside its fields."""
    fields = {name: asked.query.get(name, "").strip() for name in OPTIONS}
    now = datetime.now(UTC)
    found, problem = None, ""
    try:
        search = search_of(fields, now)
    except ValueError as error:
        search, problem = Search(), str(error)
    else:
        found = await _found(context, fields, search)
    given = {name: text for name, text in fields.items() if text}
    filters = {name: text for name, text in given.items() if name != "older"}
    exact = absolute(given, search)
    return {
        "fields": fields,
        "states": [(state, state.replace("_", " ")) for state in STATES],
        "kinds": list(KINDS),
        "directions": list(DIRECTIONS),
        "filtered": bool(filters),
        "problem": problem,
        "found": found,
        "rows": [_row(one) for one in found.messages] if found is not None else [],
        "newest": _address(filters),
        "older": _address({**filters, "older": found.older}) if found and found.older else "",
        "exact": _address(exact) if exact != given else "",
        "command": command_of(fields),
    }


def href_of(message_id: str) -> str:
    """The page of a message."""
    return f"{PATH}/{quote(message_id, safe='')}"


def anchor_of(message_id: str) -> str:
    """An id for a message in a page: always the same, and fit whatever the upstream chose."""
    if _PLAIN.fullmatch(message_id):
        return f"message-{message_id}"
    hashed = blake2b(message_id.encode(errors="replace"), digest_size=16).hexdigest()
    return f"message-{hashed}"


async def _found(context: ConsoleContext, fields: dict[str, str], search: Search) -> MessageListing:
    async def reading() -> MessageListing:
        async with context.reading() as connection:
            return await read_messages(connection, search)

    return await context.lists.get(tuple(fields.items()), reading)


def _row(one: FoundMessage) -> MessageRow:
    return MessageRow(
        one,
        anchor_of(one.id),
        href_of(one.id),
        one.state.replace("_", " "),
        LEVELS.get(one.state, "off"),
    )


def _address(fields: dict[str, str]) -> str:
    return f"{PATH}?{urlencode(fields)}" if fields else PATH


PAGES = (Page(PATH, "messages", "Messages", read, key="m"),)

"""The page Keys: what programs may do, from where and until when; keys are made and removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from warouter.access.key import MOST_YEARS, about, check_name, networks_of, new_key, starts_of
from warouter.access.scopes import NAMES, Scope, joined, names_of, scopes_of
from warouter.access.token import hash_of
from warouter.console.context import ConsoleContext
from warouter.console.form import Form
from warouter.console.page import Act, Page
from warouter.console.visit import ConsoleRefusal, Done, ReadingKey, ShownOnce, Visitor
from warouter.errors import ApiError
from warouter.store.account import keys
from warouter.store.account.author import by_session
from warouter.store.account.keys import MOST_KEYS, NewKey, StoredKey

PATH = "/console/keys"
MOST_NETWORKS_CHARS = 1_000
_NUMBER = 1  # the only one that there is


class KeyRow(NamedTuple):
    """A key with its scopes by name."""

    key: StoredKey
    scopes: list[str]


async def read(context: ConsoleContext, _asked: ReadingKey) -> dict[str, Any]:
    async with context.reading() as connection:
        found = await keys.listed(connection, _NUMBER)
    rows = [KeyRow(key, names_of(Scope(key.scopes))) for key in found]
    return {"keys": rows, "scopes": list(NAMES), "most": MOST_KEYS}


async def make(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    """Make a key, and show it on a page that cannot be asked for again."""
    text = new_key()
    new = _checked(text, visitor, form)
    stored = await context.keys.add(_NUMBER, new, by_session(visitor.session))
    if stored is None:
        raise ConsoleRefusal(f"There are {MOST_KEYS} keys: remove those that nobody needs.")
    values = {"key": text, "row": KeyRow(stored, names_of(Scope(stored.scopes))), "back": PATH}
    return Done(_about(stored), once=ShownOnce("key_made", "The new key", values))


async def remove(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    """End a key, on all webapps within a second."""
    key = form.number("id", 1, 2**63 - 1)
    form.subject = str(key)
    ended = await context.keys.end(_NUMBER, key, by_session(visitor.session))
    if ended is None:
        raise ConsoleRefusal(f"There is no key {key}.", 404)
    return Done(_about(ended))


def _checked(text: str, visitor: Visitor, form: Form) -> NewKey:
    name = form.subject = form.text("name")
    days = form.text("days", required=False)
    try:
        check_name(name)
        scopes = scopes_of(form.all("scopes", len(NAMES)))
        allowed = form.text("networks", MOST_NETWORKS_CHARS, required=False)
        networks = networks_of(allowed.split())
    except ApiError as error:
        said = error.details
        raise ConsoleRefusal(f"{said[:1].upper()}{said[1:]}.", error.status, error.code) from error
    end = timedelta(days=form.number("days", 1, 365 * MOST_YEARS)) if days else None
    return NewKey(
        hash_of(text),
        name,
        starts_of(text),
        int(joined(scopes)),
        visitor.username,
        networks,
        None if end is None else datetime.now(UTC) + end,
    )


def _about(key: StoredKey) -> str:
    return about(key.id, key.name, Scope(key.scopes))


PAGES = (Page(PATH, "keys", "Keys", read, key="k"),)
ACTS = (
    Act(f"{PATH}/make", "add key", make, PATH),
    Act(f"{PATH}/remove", "remove key", remove, PATH),
)

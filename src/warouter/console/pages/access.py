"""The page Access: users, sessions and tokens, and the audit log."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from warouter.access.names import DEFAULT_USERNAME, check_username
from warouter.access.passwords import check_new_password
from warouter.cloud_number import FIRST
from warouter.console.context import ConsoleContext
from warouter.console.form import Form, moment
from warouter.console.page import Act, Page
from warouter.console.render import mask
from warouter.console.visit import ConsoleRefusal, Done, ReadingKey, Visitor
from warouter.errors import ApiError, ConfigError
from warouter.secret import api_keys
from warouter.store.account import logins, sessions, users
from warouter.store.account.accounts import ADMIN
from warouter.store.account.author import by_session
from warouter.store.views.audit import AuditEntry, Choice, read_actions, read_chosen

PATH = "/console/access"
SHOWN = 100
WITHIN = 20_000  # rows of the audit log that one reading looks at
AROUND = 10  # rows that are shown above one that is linked to
MOST_NAME, MOST_PASSWORD = 100, 200
_FILTERS = ("actor", "action", "outcome", "since", "until")
_NUMBER = re.compile(r"\d{8,}")
_FAILED = "failed"


class AuditRow(NamedTuple):
    """An entry of the audit log; ``number`` is None while its sum may grow."""

    number: int | None
    entry: AuditEntry
    about: str
    level: str
    chosen: bool


class UserRow(NamedTuple):
    """A user with what is open in their name; ``key`` is good for an element's id."""

    key: str
    user: users.ListedUser
    sessions: int
    protected: bool  # cannot be removed


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    chosen = _row(asked.query, "audit")
    upto = _row(asked.query, "upto")
    filters = {name: _text(asked.query, name) for name in _FILTERS}
    failed = filters["outcome"] == _FAILED
    choice = Choice(
        actor=filters["actor"],
        action=filters["action"],
        outcome="" if failed else filters["outcome"],
        failed=failed,
        since=moment(filters["since"]),
        until=moment(filters["until"]),
        upto=upto if upto is not None or chosen is None else chosen + AROUND,
        within=WITHIN,
    )
    async with context.reading() as connection:
        found = await users.listed(connection, FIRST)
        open_sessions = await sessions.listed(connection, FIRST)
        tokens = await users.tokens(connection, FIRST)
        actions = await read_actions(connection)
        entries = await read_chosen(connection, SHOWN, choice)
    lines = [_line(number, entry, chosen) for number, entry in entries]
    return {
        "people": _people(found, open_sessions),
        "sessions": open_sessions,
        "tokens": tokens,
        "keys": _keys(context),
        "lines": lines,
        "actions": actions,
        "filters": filters,
        "filtered": any(filters.values()) or chosen is not None or upto is not None,
        "older": _older(filters, lines),
        "within": WITHIN,
    }


async def create(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    """A user of ROLE_USER: there is one administrator."""
    name = form.subject = form.text("username", MOST_NAME)
    _ruled(check_username, name)
    hashed = await _hash(context, visitor, form)
    by = by_session(visitor.session)
    if not await context.accounts.create_user(FIRST, name, hashed, by=by):
        raise ConsoleRefusal(f"There is a user {name} already: set a new password instead.")
    return Done(name)


async def set_password(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    """A new password: sessions and tokens of the user end, and failed log-ins are forgotten."""
    name = await _known(context, form)
    hashed = await _hash(context, visitor, form)
    by = by_session(visitor.session)
    if not await context.accounts.set_password(FIRST, name, hashed, by):
        raise _unknown(name)
    async with context.reading() as connection:
        await logins.forgive(connection, FIRST, name)
    return Done(name)


async def remove(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    """Remove a user with all sessions and tokens."""
    name = await _known(context, form)
    if form.text("typed", MOST_NAME) != name:
        raise ConsoleRefusal(f"Type {name} to confirm.")
    if name == DEFAULT_USERNAME:
        raise ConsoleRefusal(
            f"{name} cannot be removed, since a webapp would make it anew with the default"
            " password: set another password instead."
        )
    async with context.reading() as connection:
        if await users.with_role(connection, FIRST, ADMIN) == {name}:
            raise ConsoleRefusal(f"{name} is the last administrator.")
    if not await context.accounts.delete_user(FIRST, name, by_session(visitor.session)):
        raise _unknown(name)
    return Done(name)


async def end(context: ConsoleContext, _visitor: Visitor, form: Form) -> Done:
    """End all sessions and all tokens of a user."""
    name = await _known(context, form)
    ended, tokens = await context.sessions.end_all(FIRST, name)
    return Done(f"{name}: {ended} sessions, {tokens} tokens")


# ---------------------------------------------------------------- values


def _keys(context: ConsoleContext) -> int | None:
    """How many API keys this process's settings have; None if it cannot read them."""
    try:
        return len(api_keys(context.settings.api_key_source)())
    except ConfigError:
        return None


def _people(found: list[users.ListedUser], open_sessions: list[sessions.Open]) -> list[UserRow]:
    return [
        UserRow(
            f"user-{number}",
            user,
            sum(one.username == user.username for one in open_sessions),
            user.username == DEFAULT_USERNAME,
        )
        for number, user in enumerate(found, 1)
    ]


def _line(number: int | None, entry: AuditEntry, chosen: int | None) -> AuditRow:
    level = {"done": "good", "begun": "warn"}.get(entry.outcome, "bad")
    about = _NUMBER.sub(lambda digits: mask(digits[0]), entry.subject)
    return AuditRow(number, entry, about, level, number is not None and number == chosen)


def _older(filters: Mapping[str, str], lines: list[AuditRow]) -> dict[str, str] | None:
    """The filters of the page with what is older; None if there is nothing more."""
    last = next((line.number for line in reversed(lines) if line.number is not None), None)
    if len(lines) < SHOWN or last is None:
        return None
    kept = {name: text for name, text in filters.items() if text}
    return {**kept, "upto": str(last - 1)}


def _text(query: Mapping[str, str], name: str) -> str:
    value = query.get(name, "").strip()
    if len(value) > MOST_NAME or not value.isprintable():
        raise ConsoleRefusal(f"The filter {name} cannot be used: {MOST_NAME} characters at most.")
    return value


def _row(query: Mapping[str, str], name: str) -> int | None:
    value = _text(query, name)
    if value and not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise ConsoleRefusal(
            f"{name} is the number of a row of the audit log, and {value} is none."
        )
    return int(value) if value else None


# ---------------------------------------------------------------- acts


async def _hash(context: ConsoleContext, visitor: Visitor, form: Form) -> str:
    """The hash of the new password that was typed twice."""
    password = form.secret("password", MOST_PASSWORD)
    if password != form.secret("again", MOST_PASSWORD):
        raise ConsoleRefusal("The password was not typed the same way twice.")
    _ruled(check_new_password, password, "The password")
    try:
        return await context.passwords.hash(password, visitor.session.hex())
    except ApiError as error:  # too many are being hashed
        raise _as_refusal(error) from error


async def _known(context: ConsoleContext, form: Form) -> str:
    """The user that the form is about; ConsoleRefusal if there is none."""
    name = form.text("username", MOST_NAME)
    if not name.isprintable() or await context.accounts.user(FIRST, name) is None:
        raise _unknown(name)
    form.subject = name
    return name


def _unknown(name: str) -> ConsoleRefusal:
    shown = "".join(char if char.isprintable() else "?" for char in name)
    return ConsoleRefusal(f"There is no user {shown}.", 404)


def _ruled(rule: Callable[..., None], *arguments: str) -> None:
    """Hold a text against a rule of the API; its words become the page's."""
    try:
        rule(*arguments)
    except ApiError as error:
        raise _as_refusal(error) from error


def _as_refusal(error: ApiError) -> ConsoleRefusal:
    said = error.details
    return ConsoleRefusal(f"{said[:1].upper()}{said[1:]}.", error.status, error.code)


PAGES = (Page(PATH, "access", "Access", read, key="a"),)
ACTS = (
    Act(f"{PATH}/create", "create user", create, PATH),
    Act(f"{PATH}/password", "change password", set_password, PATH),
    Act(f"{PATH}/remove", "delete user", remove, PATH),
    Act(f"{PATH}/end", "end sessions", end, PATH),
)

"""What leaves a row in the audit log: whole routes, a part of one, and what is refused."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from warouter.api.access.tokens import Caller
from warouter.api.context import Context
from warouter.api.route import Handler
from warouter.errors import ApiError
from warouter.http.source import prefix_of, source_of
from warouter.store.audit import DONE
from warouter.store.refusals import Note

log = logging.getLogger(__name__)

_SUBJECT = web.RequestKey("audit_subject", str)
_OUTCOME_CHARS = 300


def audited(action: str, handler: Handler) -> Handler:
    """The handler; each call leaves a row with its outcome: ``done``, or ``403/1011 ...``."""

    @functools.wraps(handler)
    async def handle(context: Context, request: web.Request, caller: Caller) -> web.StreamResponse:
        async with recorded(context, request, caller.username, action):
            return await handler(context, request, caller)

    return handle


def subject(request: web.Request, text: str) -> None:
    """What the call is about, for its row: a user name, a number. Never a secret."""
    request[_SUBJECT] = text


def named(fields: Mapping[str, Any], path: str = "") -> list[str]:
    """The paths of the fields, never what is in them."""
    return [
        name
        for key, value in fields.items()
        for name in (named(value, f"{path}{key}.") if isinstance(value, dict) else [path + key])
    ]


@asynccontextmanager
async def recorded(
    context: Context, request: web.Request, actor: str, action: str
) -> AsyncIterator[None]:
    """Begin a row before the block, and say after it how it ended.

    Without the row nothing is done: while the database is away, this raises what the store raises.
    """
    source = source_of(request, context.config.trusted_proxies)
    number = await context.audit.begin(actor, action, source)
    outcome = "failed"
    try:
        yield
        outcome = DONE
    except ApiError as error:
        outcome = f"{error.status}/{error.code} {error.details}"
        raise
    finally:
        await _end(context, number, request.get(_SUBJECT, ""), outcome)


def note_refusal(
    context: Context, request: web.Request, actor: str, action: str, error: ApiError
) -> None:
    """Something was refused before it began. Equal ones are summed, by the address's prefix."""
    source = prefix_of(source_of(request, context.config.trusted_proxies))
    outcome = f"{error.status}/{error.code} {error.title}"
    context.audit.refusals.note(actor, action, source, outcome)


async def note_done(context: Context, request: web.Request, actor: str, action: str) -> None:
    """Something was done that clients may do all the time: equal ones are summed, but at once."""
    source = source_of(request, context.config.trusted_proxies)
    await context.audit.add({Note(actor, action, source, DONE): 1})


async def _end(context: Context, number: int, about: str, outcome: str) -> None:
    """The deed is done or refused: what the client is told does not depend on this row."""
    try:
        await context.audit.end(number, _storable(about), _storable(outcome))
    except Exception as error:
        log.warning("audit row update failed", extra={"row": number, "error": repr(error)})


def _storable(text: str) -> str:
    """Text that PostgreSQL takes: a client's own words may be quoted in it."""
    return text[:_OUTCOME_CHARS].encode(errors="replace").decode().replace("\0", "")

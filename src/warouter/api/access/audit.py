"""Actions recorded in the audit log: whole routes, parts of a route, and refusals."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from warouter.access import recorded_action
from warouter.api.access.tokens import Caller
from warouter.api.context import Context
from warouter.api.route import Handler
from warouter.errors import ApiError
from warouter.http.source import prefix_of, source_of

_SUBJECT = web.RequestKey("audit_subject", str)


def audited(action: str, handler: Handler) -> Handler:
    """Wraps the handler: each call adds a row with its outcome, ``done`` or ``403/1011 ...``."""

    @functools.wraps(handler)
    async def handle(context: Context, request: web.Request, caller: Caller) -> web.StreamResponse:
        async with recorded(context, request, caller.username, action):
            return await handler(context, request, caller)

    return handle


def subject(request: web.Request, text: str) -> None:
    """Set the subject of this call's row: a user name or a number, never a secret."""
    request[_SUBJECT] = text


def named(fields: Mapping[str, Any], path: str = "") -> list[str]:
    """Set the subject to the paths of these fields, without their values."""
    return [
        name
        for key, value in fields.items()
        for name in (named(value, f"{path}{key}.") if isinstance(value, dict) else [path + key])
    ]


@asynccontextmanager
async def recorded(
    context: Context, request: web.Request, actor: str, action: str
) -> AsyncIterator[None]:
    """Add a row before the block, and its outcome after it.

    Without the row nothing is done: while the database is away, this raises what the store raises.
    """
    source = source_of(request, context.config.trusted_proxies)
    async with recorded_action.recorded(context.audit, actor, action, source) as under_way:
        try:
            yield
        finally:
            under_way.subject = request.get(_SUBJECT, "")


def note_refusal(
    context: Context, request: web.Request, actor: str, action: str, error: ApiError
) -> None:
    """Record a request that was refused at once. Equal ones are summed by address prefix."""
    source = prefix_of(source_of(request, context.config.trusted_proxies))
    outcome = f"{error.status}/{error.code} {error.title}"
    context.audit.refusals.note(actor, action, source, outcome)

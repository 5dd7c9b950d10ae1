"""Actions recorded in the audit log: whole routes, parts of a route, and refusals."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from warouter.access.recorded_action import recorded
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.route import Handler
from warouter.errors import ApiError
from warouter.http.source import prefix_of, source_of

_SUBJECT = web.RequestKey("audit_subject", str)


def audited(action: str, handler: Handler) -> Handler:
    """Wraps the handler: each call adds a row with its outcome, ``done`` or ``403/1011 ...``.

    Without the row nothing is done: while the database is away, this raises what the store raises.
    """

    @functools.wraps(handler)
    async def handle(context: Context, request: web.Request, caller: Caller) -> web.StreamResponse:
        source = source_of(request, context.config.trusted_proxies)
        async with recorded(context.audit, caller.actor, action, source) as under_way:
            try:
                return await handler(context, request, caller)
            finally:
                under_way.subject = request.get(_SUBJECT, "")

    return handle


def subject(request: web.Request, text: str) -> None:
    """Set the subject of this call's row: a user name or a number, never a secret."""
    request[_SUBJECT] = text


def named(fields: Mapping[str, Any], path: str = "") -> list[str]:
    """The paths of these fields, without their values."""
    return [
        name
        for key, value in fields.items()
        for name in (named(value, f"{path}{key}.") if isinstance(value, dict) else [path + key])
    ]


def note_refusal(
    context: Context, request: web.Request, actor: str, action: str, error: ApiError
) -> None:
    """Record a request that was refused at once. Equal ones are summed by address prefix."""
    source = prefix_of(source_of(request, context.config.trusted_proxies))
    outcome = f"{error.status}/{error.code} {error.title}"
    context.audit.refusals.note(actor, action, source, outcome)

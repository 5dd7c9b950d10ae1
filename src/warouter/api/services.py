"""PUT /v1/services/message/gc: prunes at once what is settled and old enough."""

from __future__ import annotations

import logging

from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.route import Access, Route
from warouter.http.envelope import success

log = logging.getLogger(__name__)


async def collect(context: Context, _request: web.Request, caller: Caller) -> web.Response:
    """Ask the owners of all slots, through their next beat, and answer at once.

    Nothing younger than ten minutes goes, nor what is not settled. For administrators: what it
    takes, nobody can look up any more, and the original let any user do it.
    """
    await context.collect()
    log.info("garbage collection requested", extra=caller.logged)
    return success({})


ROUTES = (Route("PUT", "/v1/services/message/gc", Access.ADMIN, Scope.ADMIN, collect),)

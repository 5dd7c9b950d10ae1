"""The webapp's HTTP application: routes, access, and errors in the product's envelope."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler as WebHandler
from aiohttp.typedefs import Middleware

from warouter.api import (
    backup,
    certificates,
    groups,
    media,
    providers,
    services,
    settings,
    stickers,
    webhook,
)
from warouter.api.access import auth, keys, two_step, users
from warouter.api.access.audit import audited
from warouter.api.access.auth import authorise
from warouter.api.account import registration
from warouter.api.account import shards as account
from warouter.api.configs import templates
from warouter.api.configs import webhook as registered_webhook
from warouter.api.contacts import handlers as contacts
from warouter.api.contacts import identity
from warouter.api.context import Context
from warouter.api.description import errors as errors_page
from warouter.api.description import page
from warouter.api.messages import handlers as messages
from warouter.api.monitoring import health as ops
from warouter.api.monitoring import stats, support
from warouter.api.profile import handlers as profile
from warouter.api.route import Access, Route
from warouter.errors import ApiError, NotFound, NotReady, OutcomeUnknown
from warouter.http.envelope import Envelopes, common_fields
from warouter.http.meter import Meter
from warouter.store.account.accounts import is_unavailable

log = logging.getLogger(__name__)

CONTEXT = web.AppKey("context", Context)
_TWO_SLASHES = (
    "there is no path with two slashes in a row: the base URL probably ends in one, leave it out"
)
QUIET_SECONDS = 10.0  # without a request that failed for the database: then it is news again


# Everything that is served. A route says who may use it; there is no other way to add one.
ROUTES: tuple[Route, ...] = (
    *ops.ROUTES,
    *stats.ROUTES,
    *support.ROUTES,
    *auth.ROUTES,
    *users.ROUTES,
    *keys.ROUTES,
    *messages.ROUTES,
    *media.ROUTES,
    *contacts.ROUTES,
    *identity.ROUTES,
    *settings.ROUTES,
    *webhook.ROUTES,
    *providers.ROUTES,
    *profile.ROUTES,
    *certificates.ROUTES,
    *services.ROUTES,
    *stickers.ROUTES,
    *groups.ROUTES,
    *account.ROUTES,
    *page.ROUTES,
    *errors_page.ROUTES,
    *registration.ROUTES,
    *two_step.ROUTES,
    *backup.ROUTES,
)
# What 360dialog's dialect adds, where it is served.
D360_ROUTES: tuple[Route, ...] = (*registered_webhook.ROUTES, *templates.ROUTES)


def build_app(context: Context) -> web.Application:
    """Build the application, which follows changes of users and tokens while it runs."""
    config = context.config
    common = common_fields(server_version=config.server_version)
    words = Envelopes(common, d360=config.d360)
    served = (*ROUTES, *D360_ROUTES) if config.d360 else ROUTES
    app = web.Application(
        middlewares=[_answering(context.operations.meter, common, words)],
        client_max_size=config.json_limit,
    )
    app[CONTEXT] = context
    app[page.DESCRIPTION] = page.Description(served)
    for path, routes in itertools.groupby(served, key=lambda route: route.path):
        # Some clients send a trailing slash and follow no redirect.
        spellings = (path,) if path == "/" else (path, f"{path}/")
        resources = [app.router.add_resource(spelling) for spelling in spellings]
        for route in routes:
            for resource in resources:
                resource.add_route(route.method, _guarded(context, route))
    app.cleanup_ctx.append(_following)
    return app


def _guarded(context: Context, route: Route) -> WebHandler:
    # Who watches must see most when most is going on, and a stranger who logs in has limits of
    # another kind (api/access/attempts.py): what has no user takes from nobody's bucket.
    limited = route.access in (Access.USER, Access.ADMIN)
    handler = audited(route.name, route.handler) if route.audited else route.handler

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = await authorise(context, request, route)
        if limited:
            context.operations.admit(route.method, route.path, caller)
        return await handler(context, request, caller)

    return handle


async def _following(app: web.Application) -> AsyncIterator[None]:
    context = app[CONTEXT]
    refusals = context.audit.refusals
    tasks = [
        asyncio.create_task(context.tokens.run()),
        asyncio.create_task(context.tokens.keep_uses()),
        asyncio.create_task(refusals.run()),
    ]
    yield
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    with contextlib.suppress(Exception):  # without a database they are lost
        await refusals.flush()
    context.passwords.close()
    await context.contacts.close()


def _answering(meter: Meter, common: Mapping[str, str], words: Envelopes) -> Middleware:
    """A middleware that turns every error into an envelope, and names and counts each request."""
    outage = _Outage()

    @web.middleware
    async def answer(request: web.Request, handler: WebHandler) -> web.StreamResponse:
        request_id = meter.request_id().decode()
        began, status = meter.begin(), 0
        try:
            try:
                response = await handler(request)
            except Exception as error:
                response = _of_error(error, request, request_id, outage, words)
            status = response.status
        finally:
            meter.end(request, status, began)
        for name, value in common.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = request_id
        return response

    return answer


def _of_error(
    error: Exception, request: web.Request, request_id: str, outage: _Outage, words: Envelopes
) -> web.StreamResponse:
    if request.writer.output_size > 0:
        # Another answer would be read as the rest of this one. The connection ends instead.
        log.error("response failed midway", extra={"request": request_id}, exc_info=error)
        raise ConnectionError("an answer is on its way already") from error
    match error:
        case ApiError():
            return words.failure(error)
        case web.HTTPNotFound() if "//" in request.raw_path.partition("?")[0]:
            return words.failure(NotFound(_TWO_SLASHES))
        case web.HTTPException():
            return words.of_framework(error)
        case _:
            return words.failure(_of_surprise(error, request, request_id, outage))


class _Outage:
    """While the database is away every request may fail for it: one line says so, not thousands."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def report(self, data: dict[str, str], error: Exception) -> None:
        now = time.monotonic()
        if now - self._last > QUIET_SECONDS:
            log.warning("database unavailable", extra={**data, "error": repr(error)})
        self._last = now


def _of_surprise(
    error: Exception, request: web.Request, request_id: str, outage: _Outage
) -> ApiError:
    """The response to an unexpected error. It does not reveal the error."""
    # The path as the route has it: in its place may be a number, which is nobody's business.
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else "unknown"
    data = {"request": request_id, "method": request.method, "path": path}
    if is_unavailable(error) or isinstance(error, OutcomeUnknown):
        outage.report(data, error)
        return NotReady("the database does not answer", retry_after=1)
    log.error("request failed", extra=data, exc_info=error)
    return ApiError(f"an internal error; the log has it with request {request_id}")

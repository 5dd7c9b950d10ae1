"""/v1/groups, which the product removed: answers 404 after authorisation."""

from __future__ import annotations

from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.route import Access, Route
from warouter.errors import NotFound


async def gone(_context: Context, _request: web.Request, _caller: Caller) -> web.Response:
    raise NotFound("groups are no longer part of the API")


_GROUP = "/v1/groups/{group}"
_PATHS = {
    "/v1/groups": ("GET", "POST"),
    _GROUP: ("GET", "PUT"),
    f"{_GROUP}/icon": ("GET", "POST", "DELETE"),
    f"{_GROUP}/invite": ("GET", "DELETE"),
    f"{_GROUP}/leave": ("POST",),
    f"{_GROUP}/participants": ("DELETE",),
    f"{_GROUP}/admins": ("PATCH", "DELETE"),
}

ROUTES = tuple(
    Route(method, path, Access.USER, Scope.ADMIN, gone, errors=(NotFound,))
    for path, methods in _PATHS.items()
    for method in methods
)

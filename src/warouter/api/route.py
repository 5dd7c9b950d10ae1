"""The description of an API route: method, path, access, handler, and its documentation.

Each module of the API lists its own as ``ROUTES``; ``app.py`` puts them together, and the OpenAPI
description is made of the same entries.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.errors import ApiError

Handler = Callable[[Context, web.Request, Caller], Awaitable[web.StreamResponse]]


class Access(enum.Enum):
    """The credentials that a route requires. Every route names one: there is no default."""

    OPEN = "nothing"
    LOGIN = "a user name and a password (Basic)"
    USER = "a token"
    ADMIN = "a token of an administrator"
    MONITOR = "a token or the API key"


class HeaderField(NamedTuple):
    """A header field that a route reads; with ``values`` it takes no other."""

    name: str
    meaning: str
    values: tuple[str, ...] = ()


class Route(NamedTuple):
    """One method of one path. ``access`` is what a user needs, ``scope`` what a key needs.

    ``body`` is what is decoded of the request: a Struct (or another msgspec type) for JSON, a
    content type such as ``image/*`` for raw bytes, None for no body. ``answer`` is the content of a
    success beside ``meta`` in the same way: a Struct, a content type, None for ``meta`` alone; a
    tuple holds alternatives.
    ``status`` lists the success statuses, the usual one first. ``errors`` are those that this route
    may answer beyond those of every route with its access and kind of body (400, 401, 429 ...).
    ``query`` is name -> meaning; ``headers`` are those that only this route reads. ``meta`` is the
    type of its ``meta`` if that may hold more than usual. Its summary and examples of its body are
    in ``static/openapi.json``.
    ``action`` is what a call is called in the audit log. ``unaudited`` says why calls leave no row
    there although the access and the method of the route want one.
    """

    method: str
    path: str
    access: Access
    scope: Scope
    handler: Handler
    body: Any = None
    body_required: bool = True
    answer: Any = None
    status: tuple[int, ...] = (200,)
    errors: tuple[type[ApiError], ...] = ()
    query: Mapping[str, str] = {}
    headers: tuple[HeaderField, ...] = ()
    meta: Any = None
    action: str = ""
    unaudited: str = ""

    @property
    def name(self) -> str:
        """The route's name in metrics, logs and the audit log."""
        return self.action or f"{self.method} {self.path}"

    @property
    def audited(self) -> bool:
        """True if the audit log records a call: administrators' routes that change something."""
        changes = self.access is Access.ADMIN and self.method not in ("GET", "HEAD")
        return bool(self.action or (changes and not self.unaudited))

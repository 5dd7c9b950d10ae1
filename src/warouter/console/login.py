"""Log in and log out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from warouter.console.context import Context
from warouter.console.render import Renderer
from warouter.console.session import Cookies
from warouter.console.token import new_token

PATH = "/console/login"
OUT = "/console/logout"
HOME = "/console/"


class Entry:
    """The handlers of the door."""

    def __init__(
        self, context: Context, cookies: Cookies, renderer: Renderer, chrome: Callable[..., Any]
    ) -> None:
        self._context = context
        self._cookies = cookies
        self._renderer = renderer
        self._chrome = chrome

    async def show(self, request: web.Request) -> web.StreamResponse:
        return self._page(request, "")

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        fields = await request.post()
        username, password = str(fields.get("username", "")), str(fields.get("password", ""))
        user = await self._context.accounts.user(username)
        try:
            right = user is not None and PasswordHasher().verify(user.password_hash, password)
        except VerificationError:
            right = False
        if user is None or not right:
            return self._page(request, "Invalid credentials.", 401)
        session = new_token()
        await self._context.sessions.begin(username, user.password_hash, session.hash, "")
        response = web.Response(status=303, headers={"Location": _next(request, fields)})
        self._cookies.set(response, session)
        return response

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        session = self._cookies.hash_of(request)
        if session:
            await self._context.sessions.end(session)
        response = web.Response(status=303, headers={"Location": PATH})
        self._cookies.clear(response)
        return response

    def _page(self, request: web.Request, error: str, status: int = 200) -> web.Response:
        values = {
            "chrome": self._chrome("Log in", request, None),
            "error": error,
            "next": request.query.get("next", HOME),
            "username": "",
            "must_change": False,
        }
        text = self._renderer.page("login.html", values)
        return web.Response(text=text, content_type="text/html", status=status)


def _next(request: web.Request, fields: Any) -> str:
    wanted = str(fields.get("next", HOME))
    return wanted if wanted.startswith(HOME) else HOME

"""The cookie, and who stands behind it."""

from __future__ import annotations

from aiohttp import web

from warouter.config import networks
from warouter.console.context import Context
from warouter.console.token import CHARS, Token, hash_of
from warouter.console.visit import Visitor
from warouter.http.source import source_of
from warouter.store.account.accounts import ADMIN

SECONDS = 12 * 3600


class Cookies:
    """The session's cookie. Without ``tls``, as on loopback, it has no prefix."""

    def __init__(self, tls: bool) -> None:
        self.tls = tls
        self.name = "__Host-warouter" if tls else "warouter"

    def set(self, response: web.StreamResponse, session: Token) -> None:
        response.set_cookie(
            self.name,
            session.text,
            max_age=SECONDS,
            path="/",
            secure=self.tls,
            httponly=True,
            samesite="Strict",
        )

    def clear(self, response: web.StreamResponse) -> None:
        response.del_cookie(self.name, path="/", secure=self.tls, httponly=True, samesite="Strict")

    def hash_of(self, request: web.Request) -> bytes | None:
        """The hash of the session's id that came; None without one."""
        text = request.cookies.get(self.name, "")
        return hash_of(text) if len(text) == CHARS and text.isascii() else None

    async def visitor(self, context: Context, request: web.Request) -> Visitor | None:
        """Who stands behind the cookie; None if the session has ended."""
        session = self.hash_of(request)
        who = await context.sessions.visitor(session) if session else None
        if session is None or who is None:
            return None
        trusted = networks(context.settings.trusted_proxies, "WAROUTER_TRUSTED_PROXIES")
        return Visitor(who.username, who.role == ADMIN, session, source_of(request, trusted))

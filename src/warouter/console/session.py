"""The cookie, who stands behind it, and whom a proxy names."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from warouter.access.token import CHARS, hash_of
from warouter.app_settings import Network
from warouter.console.context import ConsoleContext
from warouter.console.visit import Visitor
from warouter.http.source import from_proxy, source_of

SECONDS = 12 * 3600


class Cookies:
    """The session's cookie. Without ``tls``, as on loopback, it has no prefix."""

    def __init__(self, tls: bool) -> None:
        self.tls = tls
        self.name = "__Host-warouter" if tls else "warouter"

    def set(self, response: web.StreamResponse, session: str) -> None:
        response.set_cookie(
            self.name,
            session,
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

    async def visitor(self, context: ConsoleContext, request: web.Request) -> Visitor | None:
        """The visitor behind the cookie, whose session goes on; None if it has ended."""
        session = self.hash_of(request)
        who = await context.sessions.visitor(session) if session else None
        if session is None or who is None:
            return None
        named = named_by_proxy(request, context.settings.console_user_header, context.trusted)
        if named not in (None, who.username):
            return None  # the proxy has let in somebody else since
        return Visitor(who.username, who.admin, session, source_of(request, context.trusted))


def named_by_proxy(request: web.Request, header: str, trusted: Sequence[Network]) -> str | None:
    """The user whom a trusted proxy names in this header field; None if none does.

    Twice the field is no name: one of the two came from the client.
    """
    if not header or not from_proxy(request, trusted):
        return None
    names = request.headers.getall(header, [])
    return names[0].strip() or None if len(names) == 1 else None

"""Log in and log out: by password, as at the API, or as whom a proxy has let in.

As long as `admin` has the password that it came with, nothing is offered but to set another one,
and that to this host only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlencode

from aiohttp import web

from warouter.access.login import DEFAULT_PASSWORD, LOG_OUT, SET_PASSWORD, Given
from warouter.access.names import DEFAULT_USERNAME, can_be_looked_for
from warouter.access.passwords import check_new_password
from warouter.access.token import hash_of, new_token
from warouter.cloud_number import FIRST
from warouter.console import guard
from warouter.console.context import ConsoleContext
from warouter.console.form import Form, fields_of
from warouter.console.render import Renderer
from warouter.console.session import Cookies, named_by_proxy
from warouter.errors import ApiError, LoginRefused, ParameterInvalid, PasswordChangeRequired
from warouter.http.source import is_from_this_host, source_of

PATH = "/console/login"
OUT = "/console/logout"
HOME = "/console/"
MOST_PASSWORD = 200
_BY_PROXY = "the proxy names a user whom warouter does not have"


class LoginHandlers:
    """The handlers of the door."""

    def __init__(
        self,
        context: ConsoleContext,
        cookies: Cookies,
        renderer: Renderer,
        chrome: Callable[..., Any],
    ) -> None:
        self._context = context
        self._cookies = cookies
        self._renderer = renderer
        self._chrome = chrome

    async def show(self, request: web.Request) -> web.StreamResponse:
        """The form; whom a proxy names is let in at once.

        Not after a log-out, nor where a page of another site leads here: no cookie would come along
        on the way back, and so it would be a circle.
        """
        back, out = place(request.query.get("next", HOME)), "out" in request.query
        username = self._named(request)
        if username is None or out or not guard.by_itself(request.headers):
            return await self._page(request, back, out=out)
        source = self._source(request)
        try:
            session = await self._begin_named(username, source)
        except ApiError as error:
            self._context.log_ins.refused(username, source, error)
            return await self._page(request, back, error)
        return await self._let_in(request, session, username, back)

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """Log in by password; with a new one, set that first."""
        form = Form(await fields_of(request))
        back, source = place(form.text("next", required=False)), self._source(request)
        username = ""
        try:
            given = await self._given(request, form)
            username = given.username
            user, password_hash = await self._context.log_ins.verified(given)
            session = await self._session(user.username, password_hash, source)
        except ApiError as error:
            self._context.log_ins.refused(username, source, error)
            return await self._page(request, back, error, username)
        return await self._let_in(request, session, username, back)

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        """End the session that came, on every console."""
        session = self._cookies.hash_of(request)
        username = await self._context.sessions.end(session) if session else None
        if username is not None:
            await self._context.log_ins.done(username, self._source(request), LOG_OUT)
        response = web.Response(status=303, headers={"Location": f"{PATH}?{urlencode({'out': 1})}"})
        self._cookies.clear(response)
        return response

    # their parts

    async def _given(self, request: web.Request, form: Form) -> Given:
        """Read the form.

        Raises LoginRefused for what can be nobody's name, and ParameterInvalid for a new password
        that the rule refuses.
        """
        username = form.text("username", required=False)
        password = form.secret("password", MOST_PASSWORD)
        new = form.secret("new_password", MOST_PASSWORD)
        if not can_be_looked_for(username):
            raise LoginRefused("Invalid credentials.")
        if not password and username == DEFAULT_USERNAME and await self._is_first():
            password = DEFAULT_PASSWORD
        if new:
            if new != form.secret("again", MOST_PASSWORD):
                raise ParameterInvalid("The new password was not typed the same way twice")
            check_new_password(new, "The new password")
        here = is_from_this_host(request, self._context.trusted)
        return Given(username, password, new or None, self._source(request), here)

    async def _begin_named(self, username: str, source: str) -> str:
        """A session of the user whom a proxy names."""
        user = None
        if can_be_looked_for(username):
            user = await self._context.accounts.user(FIRST, username)
        if user is None:
            raise LoginRefused(_BY_PROXY)
        if user.must_change:
            raise PasswordChangeRequired("the default password must be changed first")
        return await self._session(user.username, user.password_hash, source)

    async def _session(self, username: str, password_hash: str, source: str) -> str:
        """A new session: the id that came, if any did, is nobody's from here on."""
        session = new_token()
        begun = await self._context.sessions.begin(
            FIRST, username, password_hash, hash_of(session), source
        )
        if begun is None:  # the password was changed, or the user deleted, since it was checked
            raise LoginRefused("Invalid credentials.")
        return session

    async def _let_in(
        self, request: web.Request, session: str, username: str, back: str
    ) -> web.StreamResponse:
        if before := self._cookies.hash_of(request):
            await self._context.sessions.end(before)
        await self._context.log_ins.done(username, self._source(request))
        response = web.Response(status=303, headers={"Location": back})
        self._cookies.set(response, session)
        return response

    async def _is_first(self) -> bool:
        """True as long as `admin` has the password that it came with."""
        user = await self._context.accounts.user(FIRST, DEFAULT_USERNAME)
        return user is not None and user.must_change

    async def _page(
        self,
        request: web.Request,
        back: str,
        error: ApiError | None = None,
        username: str = "",
        *,
        out: bool = False,
    ) -> web.Response:
        """The form, with why it was refused and the name that was typed; ``back``: where to go."""
        first = await self._is_first()
        values = {
            "chrome": self._chrome("Log in", request, None),
            "must_change": first,
            "far": first and not is_from_this_host(request, self._context.trusted),
            "command": f"{SET_PASSWORD} {DEFAULT_USERNAME}",
            "proxied": self._named(request) or "",
            "error": "" if error is None else _sentence(error),
            "username": username,
            "next": back,
            "out": out,
        }
        text = self._renderer.page("login.html", values)
        response = web.Response(text=text, content_type="text/html")
        if error is not None:
            response.set_status(error.status)
            if error.retry_after is not None:
                response.headers["Retry-After"] = str(error.retry_after)
        return response

    def _named(self, request: web.Request) -> str | None:
        header = self._context.settings.console_user_header
        return named_by_proxy(request, header, self._context.trusted)

    def _source(self, request: web.Request) -> str:
        return source_of(request, self._context.trusted)


def place(wanted: str) -> str:
    """Where to go after a log-in: a path of the console, whatever was asked for."""
    path = unquote(wanted.partition("?")[0])
    own = path.startswith(HOME) and path.isprintable() and wanted.isascii() and wanted.isprintable()
    if not own or "\\" in path or "//" in path or ".." in path or path.startswith((PATH, OUT)):
        return HOME
    return wanted


def _sentence(error: ApiError) -> str:
    """The page's sentence about a refusal."""
    if isinstance(error, PasswordChangeRequired):
        return "The password that warouter comes with must be replaced first: choose another one."
    said = error.details[:1].upper() + error.details[1:]
    return said if said.endswith(".") else f"{said}."

"""The console's HTTP application: who may ask for what, and errors as pages."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from aiohttp import web

from warouter import __version__
from warouter.access.recorded_action import recorded
from warouter.console import guard, login, stream
from warouter.console.context import ConsoleContext
from warouter.console.feed import Feeds
from warouter.console.form import Form, fields_of
from warouter.console.page import Act, Export, Page
from warouter.console.pages import ACTS, EXPORTS, PAGES
from warouter.console.render import Renderer
from warouter.console.session import Cookies
from warouter.console.static import PATH as STATIC
from warouter.console.static import Files
from warouter.console.visit import ConsoleRefusal, Done, ReadingKey, ShownOnce, Visitor
from warouter.errors import Forbidden
from warouter.http.source import prefix_of
from warouter.store.account.accounts import is_unavailable
from warouter.store.views.audit import read_entry

log = logging.getLogger(__name__)

HOME = "/console/"
STREAM = "/console/stream"
MOST_BODY = 64 * 1024
_SAID = "said"  # of a query: the audit row of the act that led here
_NOT_FOR_READERS = f"{Forbidden.status}/{Forbidden.code} {Forbidden.title}"  # as at the API


class Link(NamedTuple):
    """A page in the navigation."""

    title: str
    path: str
    key: str
    current: bool


class ActOutcome(NamedTuple):
    """How the act ended that led here; ``link`` goes to its row of the audit log."""

    action: str
    subject: str
    outcome: str
    link: str


class Chrome(NamedTuple):
    """The frame around a page: ``stream`` is "" for a page that is not kept up to date."""

    title: str
    pages: list[Link]
    stream: str
    visitor: Visitor | None
    said: ActOutcome | None
    version: str
    url: str


class Console:
    """The handlers, and what they share."""

    def __init__(self, context: ConsoleContext, cookies: Cookies, *, hosts: frozenset[str]) -> None:
        self._context = context
        self._cookies = cookies
        self._hosts = hosts
        self._files = Files()
        self._renderer = Renderer(self._files.url)
        self._feeds = Feeds()
        self._streams = stream.Streams()
        self._pages = {page.name: page for page in PAGES if page.shown(context)}

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._answering], client_max_size=MOST_BODY)
        app.on_response_prepare.append(self._add_headers)
        app.cleanup_ctx.append(self._closing)
        add = app.router
        for path in ("/", "/console"):
            add.add_get(path, _home)
        add.add_get(f"{STATIC}/{{name}}", self._files.serve)
        add.add_get(STREAM, self._stream)
        entry = login.LoginHandlers(self._context, self._cookies, self._renderer, self._chrome)
        add.add_get(login.PATH, entry.show)
        add.add_post(login.PATH, entry.log_in)
        add.add_post(login.OUT, entry.log_out)
        for page in self._pages.values():
            add.add_get(_pattern(page.path), self._shown(page))
        for export in EXPORTS:
            add.add_get(_pattern(export.path), self._exported(export))
        for act in ACTS:
            add.add_post(_pattern(act.path), self._acted(act))
        return app

    # handlers

    def _shown(self, page: Page) -> Any:
        async def show(request: web.Request) -> web.StreamResponse:
            visitor = await self._visitor(request)
            asked = _asked(request.match_info, request.query, visitor)
            values = await page.read(self._context, asked)
            said = await self._said(request, visitor)
            chrome = self._chrome(page.title, request, visitor, page, said)
            text = self._renderer.page(
                _template(page), {**values, "admin": visitor.admin, "chrome": chrome}
            )
            return _html(text)

        return show

    def _exported(self, export: Export) -> Any:
        async def fetch(request: web.Request) -> web.StreamResponse:
            visitor = await self._visitor(request)
            file = await export.fetch(
                self._context, _asked(request.match_info, request.query, visitor)
            )
            return _attachment(file)

        return fetch

    def _acted(self, act: Act) -> Any:
        async def perform(request: web.Request) -> web.StreamResponse:
            visitor = await self._visitor(request)
            if not visitor.admin:
                self._context.audit.refusals.note(
                    visitor.username, act.action, prefix_of(visitor.source), _NOT_FOR_READERS
                )
                raise ConsoleRefusal("Only an administrator may do this.", 403)
            form = Form(await fields_of(request), request.match_info)
            async with recorded(
                self._context.audit, visitor.username, act.action, visitor.source
            ) as row:
                try:
                    done = await act.act(self._context, visitor, form)
                    row.subject = done.subject
                except ConsoleRefusal as error:
                    row.subject, row.outcome = form.subject, error.outcome
                    done = Done("", query=form.kept)
            self._context.latest.forget()
            if done.file is not None:
                return _attachment(done.file)
            if done.once is not None:
                return self._once(done.once, request, visitor)
            path = {name: quote(value, safe="") for name, value in request.match_info.items()}
            back = done.back or act.back.format_map(path)
            query = urlencode({**done.query, _SAID: row.number})
            raise web.HTTPSeeOther(f"{back}?{query}")

        return perform

    def _once(self, once: ShownOnce, request: web.Request, visitor: Visitor) -> web.Response:
        chrome = self._chrome(once.title, request, visitor)
        values = {**once.values, "admin": visitor.admin, "chrome": chrome}
        # Not compressed: a secret stands beside what somebody has chosen.
        text = self._renderer.page(f"pages/{once.name}.html", values)
        return web.Response(text=text, content_type="text/html")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        visitor = await self._visitor(request)
        query = dict(request.query)
        page = self._pages.get(query.pop("page", ""))
        if page is None or not page.live:
            raise web.HTTPNotFound
        path = {name: query.pop(name, "") for name in _placeholders(page.path)}
        if not all(path.values()):
            raise web.HTTPNotFound
        asked = _asked(path, query, visitor)

        async def render() -> str:
            values = await page.read(self._context, asked)
            return self._renderer.live(_template(page), {**values, "admin": visitor.admin})

        key = (page.name, visitor.admin, tuple(sorted(path.items())), tuple(sorted(query.items())))

        async def lives() -> bool:
            return await self._context.sessions.visitor(visitor.session, seen=False) is not None

        with self._streams.counted(visitor, lives) as lasts:
            return await stream.send(request, self._feeds.follow(key, render), lasts)

    # what they share

    async def _visitor(self, request: web.Request) -> Visitor:
        """The visitor who asks; whoever is not logged in is sent to log in."""
        visitor = await self._cookies.visitor(self._context, request)
        if visitor is None:
            if request.method != "GET" or request.path == STREAM:
                raise ConsoleRefusal("Your session has ended: log in again.", 401)
            raise web.HTTPSeeOther(f"{login.PATH}?{urlencode({'next': request.path_qs})}")
        return visitor

    async def _said(self, request: web.Request, visitor: Visitor) -> ActOutcome | None:
        """The outcome of the visitor's own act; a link may claim nothing about acts of others."""
        number = request.query.get(_SAID, "")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        async with self._context.reading() as connection:
            entry = await read_entry(connection, int(number))
        if entry is None or entry.actor != visitor.username:
            return None
        link = f"/console/access?{urlencode({'audit': number})}"
        return ActOutcome(entry.action, entry.subject, entry.outcome, link)

    def _chrome(
        self,
        title: str,
        request: web.Request,
        visitor: Visitor | None,
        page: Page | None = None,
        said: ActOutcome | None = None,
    ) -> Chrome:
        links = [Link(p.title, p.path, p.key, p is page) for p in self._pages.values() if p.listed]
        query = {name: value for name, value in request.query.items() if name != _SAID}
        live = page is not None and page.live
        arguments = {"page": page.name if page else "", **request.match_info, **query}
        return Chrome(
            title=title,
            pages=links if visitor else [],
            stream=f"{STREAM}?{urlencode(arguments)}" if live else "",
            visitor=visitor,
            said=said,
            version=__version__,
            url=request.path_qs,
        )

    @web.middleware
    async def _answering(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            self._judge(request)
            response: web.StreamResponse = await handler(request)
        except ConsoleRefusal as error:
            return self._error(request, error.status, error.sentence)
        except web.HTTPRedirection:
            raise
        except web.HTTPException as error:
            return self._error(request, error.status, _SENTENCES.get(error.status, error.reason))
        except Exception as error:
            return self._failure(request, error)
        return response

    def _failure(self, request: web.Request, error: Exception) -> web.Response:
        away = is_unavailable(error)
        if not away:
            log.error("page failed", extra={"page": _route(request)}, exc_info=error)
        if request.writer.output_size > 0:  # of a stream: it ends, as no other answer fits into it
            raise ConnectionError("an answer is on its way already") from error
        if away:
            return self._error(request, 503, "The database does not answer: try again.")
        return self._error(request, 500, "This page failed: the console's log says why.")

    def _judge(self, request: web.Request) -> None:
        if not guard.known_host(request.headers.get("Host"), self._hosts):
            raise ConsoleRefusal(
                "This console does not answer to that host name: add it to WAROUTER_CONSOLE_HOSTS.",
                421,
            )
        scheme = "https" if self._cookies.tls else "http"
        if request.method in guard.UNSAFE and not guard.same_origin(request.headers, scheme):
            log.warning(
                "foreign request refused",
                extra={"page": _route(request), "source": request.remote or ""},
            )
            raise ConsoleRefusal("This request does not come from a page of this console.", 403)

    def _error(self, request: web.Request, status: int, sentence: str) -> web.Response:
        values = {
            "chrome": self._chrome("Not possible", request, None),
            "status": status,
            "error": sentence,
        }
        response = _html(self._renderer.page("error.html", values))
        response.set_status(status)
        return response

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(guard.headers(request.headers.get("Host"), self._cookies.tls))
        response.headers.setdefault("Cache-Control", "no-store")

    async def _closing(self, _app: web.Application) -> AsyncIterator[None]:
        yield
        await self._feeds.close()
        await self._context.api.close()


_SENTENCES = {
    404: "There is no such page.",
    405: "This page does not take such a request.",
    413: "The form is too large.",
}


async def _home(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPSeeOther(HOME)


def _asked(path: Mapping[str, str], query: Mapping[str, str], visitor: Visitor) -> ReadingKey:
    kept = {name: value for name, value in query.items() if name != _SAID}
    return ReadingKey(dict(path), kept, visitor.admin)


def _template(page: Page) -> str:
    return f"pages/{page.name}.html"


def _placeholders(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _pattern(path: str) -> str:
    """The path for the router: a placeholder is any text, braces and all, as an id may be."""
    return re.sub(r"{(\w+)}", r"{\1:[^/]+}", path)


def _html(text: str) -> web.Response:
    response = web.Response(text=text, content_type="text/html")
    response.enable_compression()  # no secret stands beside what a visitor may have chosen
    return response


def _attachment(file: Any) -> web.Response:
    return web.Response(
        body=file.body,
        content_type=file.content_type,
        headers={"Content-Disposition": f'attachment; filename="{file.name}"'},
    )


def _route(request: web.Request) -> str:
    """The path as the route has it: in its place may be a number, which is nobody's business."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"

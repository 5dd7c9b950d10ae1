"""GET /v1/errors: every error code with causes and remedies, as an HTML page.

``href`` of each error leads to the code's place on it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from html import escape

from aiohttp import web

from warouter.access.scopes import ANY
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.page import HTML, html_page, prose, served
from warouter.api.route import Access, Route
from warouter.codes import PAGE
from warouter.upstream.causes import BECOMES, Code, about, known_codes, shown_place

# `[408]` becomes a link to that code, `/v1/docs` one to that page.
_CODE, _PATH = re.compile(r"\[(\d+)\]"), re.compile(r"<code>(/v1/docs)</code>")


async def errors(_context: Context, request: web.Request, _caller: Caller) -> web.Response:
    return served(request, *_page())


@functools.cache
def _page() -> tuple[bytes, dict[str, str]]:
    parts = ["<h1>Error codes</h1>", *(f"<p>{_linked(p)}</p>" for p in about())]
    for code in known_codes():
        parts += _section(code)
    return html_page("warouter: error codes", parts)


def _linked(text: str) -> str:
    links = _CODE.sub(r"<a href='#\1'>\1</a>", prose(text))
    return _PATH.sub(r"<a href='\1'><code>\1</code></a>", links)


def _section(code: Code) -> Iterator[str]:
    yield f"<section id='{code.code}'><h2>{code.code} <small>{escape(code.title)}</small></h2>"
    rows = [(shown_place(each), each.cause, each.do) for each in code.causes]
    yield _table(("where", "cause", "what to do"), rows)
    if code.meta:
        meta = [(each.label, each.words, BECOMES[each.meaning.cls]) for each in code.meta]
        yield _table(("Meta's code", "what it means", "what becomes of the message"), meta)
    yield "</section>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [("th", head), *(("td", row) for row in rows)]
    made = "".join(
        f"<tr>{''.join(f'<{cell}>{prose(text)}</{cell}>' for text in row)}</tr>"
        for cell, row in lines
    )
    return f"<div class=table tabindex=0><table>{made}</table></div>"


ROUTES = (Route("GET", PAGE, Access.OPEN, ANY, errors, answer=HTML, status=(200, 304)),)

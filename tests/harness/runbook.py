"""docs/3am.md as HTML, for the console: a section for each heading of the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from warouter.console.verdict.runbook import PATH

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "3am.md"
SHIPPED = ROOT / "src" / "warouter" / "static" / "3am.html"
_ALERTS = "alerts"  # the section that says where each alert leads
Tokens = Sequence[Token]


class Section(NamedTuple):
    title: str
    text: str  # in Markdown

    @property
    def anchor(self) -> str:
        """The anchor that GitHub makes of a heading."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")


def sections() -> dict[str, Section]:
    """The sections of the page by anchor, without what comes before the first heading."""
    parts = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    found = [Section(title, text) for title, _, text in (part.partition("\n") for part in parts)]
    return {section.anchor: section for section in found}


def runbooks() -> dict[str, str]:
    """The anchor of the section that each alert leads to."""
    tokens = _MARKDOWN.parse(sections()[_ALERTS].text)
    cells = [t.children or [] for cell, t in pairwise(tokens) if cell.type == "td_open"]
    return {
        name.content: next(t for t in then if _leads_on(t)).attrs["href"].removeprefix("#")
        for names, then in zip(cells[::2], cells[1::2], strict=True)
        for name in names
        if name.type == "code_inline"
    }


def rendered(section: Section) -> str:
    """The HTML of a section, as the console's style sheet and readers of screens want it."""
    return _MARKDOWN.render(section.text, {"title": section.title})


def made() -> str:
    """The text of 3am.html."""
    return "".join(
        f'<section id="{section.anchor}">\n<h2>{escape(section.title)}</h2>\n'
        f"{rendered(section)}</section>\n"
        for section in sections().values()
    )


def _leads_on(token: Token) -> bool:
    """True for a link to a section of the page: all others lead out of the console."""
    return token.type == "link_open" and str(token.attrs["href"]).startswith("#")


class _Renderer(RendererHTML):
    """Renders a section as the console's style sheet and readers of screens want it."""

    def fence(self, tokens: Tokens, idx: int, options: Any, env: Any) -> str:
        return f'<pre class="card">{escape(tokens[idx].content.rstrip())}</pre>\n'

    def table_open(self, tokens: Tokens, idx: int, options: Any, env: Any) -> str:
        caption = f"<caption>{escape(env['title'])}</caption>"
        return f'<div class="table" tabindex="0"><table>\n{caption}\n'

    def table_close(self, tokens: Tokens, idx: int, options: Any, env: Any) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Tokens, idx: int, options: Any, env: Any) -> str:
        return '<th scope="col">'

    def td_open(self, tokens: Tokens, idx: int, options: Any, env: Any) -> str:
        env["heads"] = tokens[idx - 1].type == "tr_open"
        return '<th scope="row">' if env["heads"] else "<td>"

    def td_close(self, tokens: Tokens, idx: int, options: Any, env: Any) -> str:
        return "</th>\n" if env["heads"] else "</td>\n"

    def link_open(self, tokens: Tokens, idx: int, options: Any, env: Any) -> str:
        to = str(tokens[idx].attrs["href"])
        if _leads_on(tokens[idx]):
            env["end"] = "</a>"
            return f'<a href="{PATH}{escape(to[1:])}">'
        env["end"] = f' <span class="muted">({escape(to)})</span>'
        return ""

    def link_close(self, tokens: Tokens, idx: int, options: Any, env: Any) -> str:
        return str(env["end"])


_MARKDOWN = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")

if __name__ == "__main__":
    SHIPPED.write_text(made())

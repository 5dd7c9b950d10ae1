"""docs/3am.md as HTML, for the console: a section for each heading of the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from warouter.console.verdict.runbook import PATH

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "3am.md"
SHIPPED = ROOT / "src" / "warouter" / "static" / "3am.html"
_ALERTS = "alerts"  # the section that says where each alert leads
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


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


class _Rules:
    """How tokens are rendered that need more than their tag. ``env`` is of one section."""

    @staticmethod
    def fence(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        return f'<pre class="card">{escape(tokens[at].content.rstrip())}</pre>\n'

    @staticmethod
    def table_open(_tokens: Sequence[Token], _at: int, _options: Any, env: Any) -> str:
        caption = f"<caption>{escape(env['title'])}</caption>"
        return f'<div class="table" tabindex="0"><table>\n{caption}\n'

    @staticmethod
    def table_close(*_: Any) -> str:
        return "</table></div>\n"

    @staticmethod
    def th_open(*_: Any) -> str:
        return '<th scope="col">'

    @staticmethod
    def tr_open(_tokens: Sequence[Token], _at: int, _options: Any, env: Any) -> str:
        env["first"] = True
        return "<tr>\n"

    @staticmethod
    def td_open(_tokens: Sequence[Token], _at: int, _options: Any, env: Any) -> str:
        return '<th scope="row">' if env["first"] else "<td>"

    @staticmethod
    def td_close(_tokens: Sequence[Token], _at: int, _options: Any, env: Any) -> str:
        first, env["first"] = env["first"], False
        return "</th>\n" if first else "</td>\n"

    @staticmethod
    def link_open(tokens: Sequence[Token], at: int, _options: Any, env: Any) -> str:
        to = str(tokens[at].attrs["href"])
        if _leads_on(tokens[at]):
            env["end"] = "</a>"
            return f'<a href="{PATH}{escape(to[1:])}">'
        env["end"] = f' <span class="muted">({escape(to)})</span>'
        return ""

    @staticmethod
    def link_close(_tokens: Sequence[Token], _at: int, _options: Any, env: Any) -> str:
        return str(env["end"])


for _name, _rule in vars(_Rules).items():
    if isinstance(_rule, staticmethod):
        _MARKDOWN.renderer.rules[_name] = _rule.__func__

if __name__ == "__main__":
    SHIPPED.write_text(made())

"""docs/3am.md by section, so that each alert leads to what to do, also without a network: the page
lies in the package.

As much of Markdown as that page uses: paragraphs, lists, tables, code, links, bold and code spans.
What comes out are texts for a template, which escapes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import NamedTuple

PATH = "/console/runbook/"
_ALERTS = "alerts"  # the section that says where each alert leads
_SPAN = re.compile(r"`([^`]+)`|\[([^]]+)\]\(([^)]+)\)|\*\*([^*]+)\*\*")
_ITEM = re.compile(r"- ")


class TextSpan(NamedTuple):
    """``kind``: text, code, bold, link (to ``to``), else (a link that leads out of this page)."""

    kind: str
    text: str
    to: str = ""


class Block(NamedTuple):
    """``kind``: p, pre, list, table. ``rows`` has a list of cells for each item or row; the first
    row of a table is its head. ``text`` is that of a pre.
    """

    kind: str
    rows: list[list[list[TextSpan]]]
    text: str = ""


class RunbookSection(NamedTuple):
    anchor: str
    title: str
    blocks: list[Block]


def anchor_of(title: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def sections_of(page: str) -> dict[str, RunbookSection]:
    """The sections of the page by anchor, the one before the first heading left out."""
    found: dict[str, RunbookSection] = {}
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        anchor = anchor_of(title)
        found[anchor] = RunbookSection(anchor, title, list(_blocks(body.split("\n"))))
    return found


def runbooks_of(sections: dict[str, RunbookSection]) -> dict[str, str]:
    """The anchor of the section that each alert leads to."""
    [table] = [block for block in sections[_ALERTS].blocks if block.kind == "table"]
    return {
        span.text: next(s.to for s in then if s.kind == "link").removeprefix(PATH)
        for names, then in table.rows[1:]
        for span in names
        if span.kind == "code"
    }


@cache
def sections() -> dict[str, RunbookSection]:
    """The sections of the shipped page."""
    return sections_of(resources.files("warouter.static").joinpath("3am.md").read_text("utf-8"))


def find(name: str) -> RunbookSection | None:
    """The section of an alert, or with this anchor."""
    return sections().get(runbooks_of(sections()).get(name, name))


def _blocks(lines: list[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif line.startswith("```"):
            end = lines.index("```", at + 1)
            yield Block("pre", [], "\n".join(lines[at + 1 : end]))
            at = end + 1
        else:
            end = _end(lines, at)
            yield _block(lines[at:end])
            at = end


def _end(lines: list[str], at: int) -> int:
    """Where a paragraph, a list or a table ends."""
    while at < len(lines) and lines[at].strip() and not lines[at].startswith("```"):
        at += 1
    return at


def _block(lines: list[str]) -> Block:
    if lines[0].startswith("|"):
        rows = [line.strip("|").split(" | ") for line in lines if not line.startswith("|--")]
        return Block("table", [[_spans(cell.strip(" |")) for cell in row] for row in rows])
    if _ITEM.match(lines[0]):
        items: list[str] = []
        for line in lines:
            if _ITEM.match(line):
                items.append(line[2:])
            else:
                items[-1] += " " + line.strip()
        return Block("list", [[_spans(item)] for item in items])
    return Block("p", [[_spans(" ".join(lines))]])


def _spans(text: str) -> list[TextSpan]:
    found: list[TextSpan] = []
    at = 0
    for match in _SPAN.finditer(text):
        if match.start() > at:
            found.append(TextSpan("text", text[at : match.start()]))
        code, label, target, bold = match.groups()
        if code is not None:
            found.append(TextSpan("code", code))
        elif bold is not None:
            found.append(TextSpan("bold", bold))
        elif target.startswith("#"):
            found.append(TextSpan("link", label, PATH + target[1:]))
        else:
            found.append(TextSpan("else", label, target))
        at = match.end()
    if at < len(text):
        found.append(TextSpan("text", text[at:]))
    return found

"""The sections of docs/3am.md, to which alerts lead; ``make docs`` renders them."""

from __future__ import annotations

import html
import re
from functools import cache
from typing import NamedTuple

from warouter import STATIC

PATH = "/console/runbook/"

_SECTION = re.compile(r'<section id="(.+?)">\n<h2>(.+?)</h2>\n(.+?)</section>\n', re.DOTALL)


class RunbookSection(NamedTuple):
    anchor: str
    title: str
    body: str  # in HTML


@cache
def sections() -> dict[str, RunbookSection]:
    """The sections of the page by anchor."""
    page = (STATIC / "3am.html").read_text("utf-8")
    found = [
        RunbookSection(anchor, html.unescape(title), body)
        for anchor, title, body in _SECTION.findall(page)
    ]
    return {section.anchor: section for section in found}

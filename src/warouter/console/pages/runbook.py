"""The page about an alert: a section of docs/3am.md."""

from __future__ import annotations

from typing import Any

from warouter.console.context import ConsoleContext
from warouter.console.page import Page
from warouter.console.render import as_html
from warouter.console.verdict.rules import RUNBOOKS
from warouter.console.verdict.runbook import PATH, RunbookSection, sections
from warouter.console.visit import ConsoleRefusal, ReadingKey

# A section that names such a command has its acts, or more to see, on this page.
_PAGES = (
    ("warouter callbacks", "Webhook", "/console/webhook"),
    ("warouter doubt", "Number", "/console/numbers"),
    ("warouter cloud", "Number", "/console/numbers"),
    ("warouter trace", "Messages", "/console/messages"),
    ("warouter status --history", "Failovers", "/console/failovers"),
    ("warouter user", "Access", "/console/access"),
    ("warouter audit", "Access", "/console/access"),
    ("warouter status", "Cluster", "/console/"),
)


async def read(_context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    """The values of the page: the section of an alert, or with this anchor."""
    name = asked.path["name"]
    section = sections().get(RUNBOOKS.get(name, name))
    if section is None:
        raise ConsoleRefusal("There is no such section.", 404)
    others = [(s.anchor, s.title) for s in sections().values()]
    return {
        "section": section,
        "body": as_html(section.body),
        "others": others,
        "path": PATH,
        "pages": pages_of(section),
    }


def pages_of(section: RunbookSection) -> list[tuple[str, str]]:
    """The pages that show what the commands of a section do: title and path."""
    return list(
        dict.fromkeys((title, path) for name, title, path in _PAGES if name in section.body)
    )


PAGES = (Page(f"{PATH}{{name}}", "runbook", "At 3 a.m.", read, listed=False, live=False),)

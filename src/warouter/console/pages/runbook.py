"""The page about an alert: a section of docs/3am.md."""

from __future__ import annotations

from typing import Any

from warouter.console.context import Context
from warouter.console.page import Act, Export, Page
from warouter.console.verdict import runbook
from warouter.console.visit import Asked, Refusal

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


async def read(_context: Context, asked: Asked) -> dict[str, Any]:
    """The values of the page: the section of an alert, or with this anchor."""
    section = runbook.find(asked.path["name"])
    if section is None:
        raise Refusal("There is no such section.", 404)
    others = [(s.anchor, s.title) for s in runbook.sections().values()]
    return {"section": section, "others": others, "path": runbook.PATH, "pages": pages_of(section)}


def pages_of(section: runbook.RunbookSection) -> list[tuple[str, str]]:
    """The pages that show what the commands of a section do: title and path."""
    said = [block.text for block in section.blocks]
    said += [
        span.text for block in section.blocks for row in block.rows for cell in row for span in cell
    ]
    text = "\n".join(said)
    return list(dict.fromkeys((title, path) for name, title, path in _PAGES if name in text))


PAGES = (Page(f"{runbook.PATH}{{name}}", "runbook", "At 3 a.m.", read, listed=False, live=False),)
ACTS: tuple[Act, ...] = ()
EXPORTS: tuple[Export, ...] = ()

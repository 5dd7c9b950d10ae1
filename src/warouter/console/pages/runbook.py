"""What to do about an alert: a section of docs/3am.md."""

from __future__ import annotations

from typing import Any

from warouter.console.context import Context
from warouter.console.page import Act, Export, Page
from warouter.console.verdict import runbook
from warouter.console.visit import Asked, Refusal


async def read(_context: Context, asked: Asked) -> dict[str, Any]:
    """The values of the page: the section of an alert, or with this anchor."""
    section = runbook.find(asked.path["name"])
    if section is None:
        raise Refusal("There is no such section.", 404)
    others = [(s.anchor, s.title) for s in runbook.sections().values()]
    return {"section": section, "others": others, "path": runbook.PATH}


PAGES = (Page(f"{runbook.PATH}{{name}}", "runbook", "At 3 a.m.", read, listed=False, live=False),)
ACTS: tuple[Act, ...] = ()
EXPORTS: tuple[Export, ...] = ()

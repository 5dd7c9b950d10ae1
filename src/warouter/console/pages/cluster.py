"""The first page: who owns what."""

from __future__ import annotations

from typing import Any

from warouter.console.context import Context
from warouter.console.page import Act, Export, Page
from warouter.console.visit import Asked


async def read(context: Context, _asked: Asked) -> dict[str, Any]:
    """The values of the page."""
    return {"status": await context.latest.status()}


PAGES = (Page("/console/", "cluster", "Cluster", read, key="c"),)
ACTS: tuple[Act, ...] = ()
EXPORTS: tuple[Export, ...] = ()

"""The pages, in the order of the navigation, with their acts.

cluster     is all well, and who owns what
numbers     the number, what is in doubt or held, the check with Meta
media       what is kept, and what could not be fetched
settings    variables and settings: where they come from, where they differ, their change
"""

from __future__ import annotations

from warouter.console.page import Act, Export, Page
from warouter.console.pages import cluster, media, numbers, settings

_MODULES = (cluster, numbers, media, settings)

PAGES: tuple[Page, ...] = tuple(page for module in _MODULES for page in module.PAGES)
ACTS: tuple[Act, ...] = tuple(act for module in _MODULES for act in module.ACTS)
EXPORTS: tuple[Export, ...] = tuple(export for module in _MODULES for export in module.EXPORTS)

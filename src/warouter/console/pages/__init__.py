"""The pages, in the order of the navigation, with their acts.

cluster     is all well, and who owns what
"""

from __future__ import annotations

from warouter.console.page import Act, Export, Page
from warouter.console.pages import cluster

_MODULES = (cluster,)

PAGES: tuple[Page, ...] = tuple(page for module in _MODULES for page in module.PAGES)
ACTS: tuple[Act, ...] = tuple(act for module in _MODULES for act in module.ACTS)
EXPORTS: tuple[Export, ...] = tuple(export for module in _MODULES for export in module.EXPORTS)

"""The pages, in the order of the navigation, with their acts.

cluster     is all well, and who owns what
charts      metrics of the last hour
tryit       with the simulator: send, receive, break something
"""

from __future__ import annotations

from warouter.console.page import Act, Export, Page
from warouter.console.pages import charts, cluster, tryit

_MODULES = (cluster, charts, tryit)

PAGES: tuple[Page, ...] = tuple(page for module in _MODULES for page in module.PAGES)
ACTS: tuple[Act, ...] = tuple(act for module in _MODULES for act in module.ACTS)
EXPORTS: tuple[Export, ...] = tuple(export for module in _MODULES for export in module.EXPORTS)

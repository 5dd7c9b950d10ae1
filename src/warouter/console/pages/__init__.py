"""The pages, in the order of the navigation, with their acts.

cluster      is all well, and who owns what
messages     the newest messages, or those that a search finds
message      one of them: its steps, and what can be done about it
webhook      how the webhook does, what it has refused, dead letters
failovers    who took over what, when and why
numbers      the number, as the upstream tells of it
media        how much there is, and what could not be fetched
access       users, sessions, tokens, and the audit log
settings     what is set, where, and whether processes differ
charts       nine charts of the last hours
tryit        the simulator: what it saw, and what it does wrong
runbook      what to do about an alert

strip        the slots with the letters of their owners, of cluster
"""

from __future__ import annotations

from warouter.console.page import Act, Export, Page
from warouter.console.pages import (
    access,
    charts,
    cluster,
    failovers,
    media,
    message,
    messages,
    numbers,
    runbook,
    settings,
    tryit,
    webhook,
)

_MODULES = (
    cluster,
    messages,
    message,
    webhook,
    failovers,
    numbers,
    media,
    access,
    settings,
    charts,
    tryit,
    runbook,
)

PAGES: tuple[Page, ...] = tuple(page for module in _MODULES for page in module.PAGES)
ACTS: tuple[Act, ...] = tuple(act for module in _MODULES for act in module.ACTS)
EXPORTS: tuple[Export, ...] = tuple(export for module in _MODULES for export in module.EXPORTS)

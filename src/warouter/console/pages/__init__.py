"""The pages, in the order of the navigation, with their acts.

cluster      is all well, and who owns what
messages     the newest messages, or those that a search finds
message      one of them: its steps, and what can be done about it
webhook      how the webhook does, what it has refused, dead letters
failovers    who took over what, when and why
numbers      the number, as the upstream tells of it
doubts       its messages in doubt or held, and an operator's word on many of them
media        how much there is, and what could not be fetched
access       users, sessions, tokens, and the audit log
keys         keys of programs: made, which is shown once, and removed
settings     what is set, where, and whether processes differ
charts       nine charts of the last hours
tryit        the simulator: what it saw, and what it does wrong
runbook      what to do about an alert

strip        the slots with the letters of their owners, of cluster
"""

from __future__ import annotations

from warouter.console.page import Act, Page
from warouter.console.pages import (
    access,
    charts,
    cluster,
    doubts,
    failovers,
    keys,
    media,
    message,
    messages,
    numbers,
    runbook,
    settings,
    tryit,
    webhook,
)

PAGES: tuple[Page, ...] = (
    *cluster.PAGES,
    *messages.PAGES,
    *message.PAGES,
    *webhook.PAGES,
    *failovers.PAGES,
    *numbers.PAGES,
    *doubts.PAGES,
    *media.PAGES,
    *access.PAGES,
    *keys.PAGES,
    *settings.PAGES,
    *charts.PAGES,
    *tryit.PAGES,
    *runbook.PAGES,
)
ACTS: tuple[Act, ...] = (
    *cluster.ACTS,
    *message.ACTS,
    *webhook.ACTS,
    *numbers.ACTS,
    *doubts.ACTS,
    *media.ACTS,
    *access.ACTS,
    *keys.ACTS,
    *settings.ACTS,
    *tryit.ACTS,
)
EXPORTS = failovers.EXPORTS

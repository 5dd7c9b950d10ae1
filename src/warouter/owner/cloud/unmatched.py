"""Statuses of nobody: of ours before their id was known, or failures without a reference.

Meta may leave the reference out of a ``failed``. Its recipient alone proves nothing, unless just
one message to that recipient may be out: then it is that one's. Of other statuses not even that is
so, since they come with the reference, and those of older messages at any time.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

import asyncpg

from warouter.errors import OutcomeUnknown
from warouter.flow.windows import Windows
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.store.journal.inbox import Nobodys

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # less often than needed: a failure is of somebody by the second look
# After the last request, and the last row that may show an id, nothing is looked for any more: what
# is known is matched as it becomes known, but for what comes at that very moment.
REST_SECONDS = 30.0
MOST = 2_000
EARLIER_SECONDS = 2.0  # by which a time of Meta's may be before the request
_BRAZIL, _MEXICO = "55", "52"


class Unmatched:
    """Looks for the owner's part of them; ``unix`` is the least that Meta's clock showed at a time
    of the owner's ``clock``.
    """

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        unix: Callable[[float], float],
        told: Callable[[], int],
        clock: Callable[[], float],
        windows: Windows,
    ) -> None:
        self._every = min(LOOK_SECONDS, windows.scaled(LOOK_SECONDS))
        self._ownership = ownership
        self._journal = journal
        self._unix = unix
        self._told = told  # requests of this process so far, and rows of its inbox
        self._told_before = 0
        self._clock = clock
        self._busy = -math.inf  # when something was out last
        self._owned: set[OwnedSlot] = set()  # at the last look
        self._before: set[str] = set()  # failures of the last look: their id may be known by now
        self.matched = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.look()
            except (OutcomeUnknown, asyncpg.PostgresError) as error:
                log.warning("unmatched status look-up failed", extra={"error": str(error)})

    async def look(self) -> None:
        return


def _spelled(failure: Nobodys) -> frozenset[str]:
    return spellings(failure.recipient or "")


def spellings(number: str) -> frozenset[str]:
    """The ways in which WhatsApp spells one number: in Brazil and Mexico a digit more or less."""
    if not number:
        return frozenset()
    found = {number}
    if number.startswith(_BRAZIL):
        area, rest = number[2:4], number[4:]
        if len(rest) == 9 and rest[0] == "9":
            found.add(f"{_BRAZIL}{area}{rest[1:]}")
        elif len(rest) == 8:
            found.add(f"{_BRAZIL}{area}9{rest}")
    elif number.startswith(_MEXICO):
        rest = number[2:]
        if len(rest) == 11 and rest[0] == "1":
            found.add(f"{_MEXICO}{rest[1:]}")
        elif len(rest) == 10:
            found.add(f"{_MEXICO}1{rest}")
    return frozenset(found)

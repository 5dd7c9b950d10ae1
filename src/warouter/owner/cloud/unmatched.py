"""Statuses of nobody: of ours before their id was known, or failures without a reference.

Meta may leave the reference out of a ``failed``. Its recipient alone proves nothing, unless just
one message to that recipient may be out: then it is that one's. Of other statuses not even that is
so, since they come with the reference, and those of older messages at any time.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence

import asyncpg

from warouter.errors import OutcomeUnknown
from warouter.flow.doubt import DoubtState
from warouter.flow.issues import Issue
from warouter.flow.windows import Windows
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.store.journal.inbox import Nobodys
from warouter.upstream.cloud.readers import timestamp_of

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # less often than needed: a failure is of somebody by the second look
# After the last request, and the last row that may show an id, nothing is looked for any more: what
# is known is matched as it becomes known, but for what comes at that very moment.
REST_SECONDS = 30.0
MOST = 2_000
EARLIER_SECONDS = 2.0  # by which a time of Meta's may be before the request
_MAY_EXIST = (DoubtState.OUT, DoubtState.DOUBT, DoubtState.HELD)
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
        """Once, if something is out, or was not long ago; with an owner before this one, too."""
        slots = [s for s in self._ownership.slots.values() if s.accepts]
        may = [(s, i) for s in slots for i in s.issues.values() if i.state in _MAY_EXIST]
        told = self._told()
        if may or told != self._told_before or not self._owned.issuperset(slots):
            self._busy, self._told_before = self._clock(), told
        self._owned = set(slots)
        if slots and self._clock() - self._busy <= REST_SECONDS:
            await self._look(slots, may)

    async def _look(
        self, slots: Sequence[OwnedSlot], may: Sequence[tuple[OwnedSlot, Issue]]
    ) -> None:
        owned = {slot.slot: slot.epoch for slot in slots}
        now = self._clock()
        oldest = min((issue.begun for _, issue in may), default=now)
        found = await self._journal.match(owned, now - oldest + REST_SECONDS, MOST)
        failures = [failure for failure in found if failure.key in self._before]
        self._before = {failure.key for failure in found}
        for failure in failures:
            of = self._of(failure, may)
            if of is not None and not await self._journal.unheard(_spelled(failure)):
                slot, issue = of
                self.matched += 1
                place = slot.slot, issue.id, issue.attempt
                await self._journal.matched(slot.current(), failure.key, *place)

    def _of(
        self, failure: Nobodys, may: Sequence[tuple[OwnedSlot, Issue]]
    ) -> tuple[OwnedSlot, Issue] | None:
        """The one message that it can be of."""
        same = _spelled(failure)
        found = [(slot, issue) for slot, issue in may if issue.recipient in same]
        if len(found) != 1 or not same:
            return None
        [(slot, issue)] = found
        ending = slot.lanes.is_ending(issue.recipient) or slot.issues.unheard(same, slot.recorded)
        begun = self._unix(issue.begun) - EARLIER_SECONDS
        return None if ending or timestamp_of(failure.payload) < begun else (slot, issue)


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

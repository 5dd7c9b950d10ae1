"""Looks at messages whose state time may change, when it may."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import asyncpg

from warouter import background
from warouter.background import rest
from warouter.errors import OutcomeUnknown
from warouter.flow.doubt.events import TimePassed
from warouter.flow.doubt.states import UNKNOWN, Issue
from warouter.owner.cloud.doubt_rules import SENT_SECONDS, RuleBook
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.finds import Finds
from warouter.owner.cloud.proving import Proving
from warouter.owner.cloud.rate.brake import Brake
from warouter.owner.cloud.readings import Readings
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal, StoredIssue

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
AT_ONCE = 25  # in one turn of the loop: each may cost it a few tenths of a millisecond


class DoubtLooks:
    """Tells ``doubts`` of the time, and brings into memory what is to be looked at next."""

    def __init__(
        self,
        doubts: Doubts,
        finds: Finds,
        journal: Journal,
        rules: RuleBook,
        readings: Readings,
        proving: Proving,
        brake: Brake,
        clock: Callable[[], float],
    ) -> None:
        self._doubts = doubts
        self._finds = finds
        self._journal = journal
        self._rules = rules
        self._readings = readings
        self._proving = proving
        self._brake = brake
        self._clock = clock
        self._reading = False
        self._known = rules.version
        self._last = -1  # the slot that was looked at last

    async def run(self, ownership: Ownership) -> None:
        """Look at every slot again and again, for as long as it takes a few messages each. What is
        read of the table is read beside that: a doubt must not wait for the database.
        """
        more = False
        while True:
            await (asyncio.sleep(0.0) if more else rest(LOOK_SECONDS))
            slots = [slot for slot in ownership.slots.values() if slot.open]
            if self._known != self._rules.version:
                self._known = self._rules.version
                for slot in slots:
                    slot.issues.hurry(self._clock())
            if not more:
                self.let_go(slots)
            self._read_on(slots, ownership)
            more = self._look(slots, ownership)

    def let_go(self, slots: Sequence[OwnedSlot]) -> None:
        """Let memory go of what it does not need, unless rows were read that may be older."""
        if not self._reading and not self._readings.under_way:
            for slot in slots:
                slot.issues.let_go(slot.recorded, slot.messages.parked.is_read, self._clock())

    def _look(self, slots: Sequence[OwnedSlot], ownership: Ownership) -> bool:
        """Look at some messages, of each slot in turn; True if there may be more."""
        left = AT_ONCE
        for slot in sorted(slots, key=lambda slot: slot.slot <= self._last):
            try:
                if slot.open and left > 0:
                    left -= self.look_at(slot, left)
                    self._last = slot.slot
            except Exception as error:  # an error of this slot; the others go on
                ownership.tasks.failed(slot.current(), error)
        return left <= 0

    def look_at(self, slot: OwnedSlot, most: int = AT_ONCE) -> int:
        """Tell of the time to the messages that it may change, at most so many; how many."""
        now = self._clock()
        due = slot.issues.due(now, most)
        for issue in due:
            self._doubts.tell(slot, issue, self._time(slot, issue, now))
        return len(due)

    def _time(self, slot: OwnedSlot, issue: Issue, now: float) -> TimePassed:
        rule, fence = self._rules.of(issue.treatment), self._rules.fence
        unknown = issue.state in UNKNOWN
        asks = unknown and now - issue.since >= max(rule.window, fence)
        return TimePassed(
            rule,
            fence,
            self._rules.held,
            SENT_SECONDS,
            self._proving.proven_at(issue.since) if asks else math.inf,
            self._readings.read_at(slot.slot),
            free=unknown and self._doubts.is_free(slot, issue),
            brake=unknown and not self._brake.may_resend(now),
        )

    # the table

    def _read_on(self, slots: Sequence[OwnedSlot], ownership: Ownership) -> None:
        now = self._clock()
        wanting = [slot for slot in slots if slot.accepts and slot.issues.wants(now)]
        if wanting and not self._reading:
            self._reading = True
            for slot in wanting:
                slot.issues.reads(now)
            background.begin(self._read(wanting, ownership), _failed)

    async def _read(self, slots: Sequence[OwnedSlot], ownership: Ownership) -> None:
        try:
            pages = {slot.slot: slot.issues.page for slot in slots}
            rows = await self._journal.due_issues(pages)
            now, looks = self._clock(), defaultdict[int, list[float]](list)
            for row in rows:
                looks[row.slot].append(now + (row.look_in or 0.0))
            for slot in slots:
                slot.issues.read(looks[slot.slot], pages[slot.slot], now)
            await self._take(rows, {slot.slot: slot for slot in slots})
        finally:
            self._reading = False

    async def _take(self, rows: Sequence[StoredIssue], slots: Mapping[int, OwnedSlot]) -> None:
        """Take the rows, some in each turn of the loop: of 32 slots there are thousands."""
        for n, row in enumerate(rows):
            if n % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            if slots[row.slot].open:
                self._finds.take(slots[row.slot], row)


def _failed(error: Exception) -> None:
    if isinstance(error, OutcomeUnknown | asyncpg.PostgresError):
        log.warning("doubt reading failed", extra={"error": str(error) or repr(error)})
    else:
        log.error("doubt reading failed", exc_info=error)

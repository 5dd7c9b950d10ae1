"""Looks at messages in doubt as time passes, and takes over those of the owner before."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from warouter.flow.doubt.events import TimePassed
from warouter.flow.doubt.found import FoundRow, found
from warouter.flow.doubt.states import UNKNOWN, Issue, RowState
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.proving import Proving
from warouter.owner.cloud.rate.brake import Brake
from warouter.owner.cloud.readings import Readings
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import OpenIssue

LOOK_SECONDS = 0.2
SENT_SECONDS = 5.0  # for which a ``sent`` is waited for, where that is asked for


class DoubtLooks:
    """Tells ``doubts`` of the time, and of what others left in doubt."""

    def __init__(
        self,
        doubts: Doubts,
        rules: RuleBook,
        readings: Readings,
        proving: Proving,
        brake: Brake,
        clock: Callable[[], float],
    ) -> None:
        self._doubts = doubts
        self._rules = rules
        self._readings = readings
        self._proving = proving
        self._brake = brake
        self._clock = clock

    # what a former owner left

    def opened(self, slot: OwnedSlot) -> None:
        """Take what an owner before this one may have begun: before anything of it is sent."""
        rows, slot.found = slot.found, []
        for row in rows:
            treatment = self._rules.treatment(row.kind or 0, row.body or b"")
            rule, fence = self._rules.of(treatment), self._rules.fence
            after, effects = found(_found(slot, row), treatment, rule, fence, self._clock())
            before = Issue(row.seq, row.id, row.recipient)
            self._doubts.carry_out(slot, before, after, effects)

    # time

    async def run(self, ownership: Ownership) -> None:
        """Look at every slot again and again. What is parked is looked at elsewhere: that waits for
        the database, and a doubt must not wait for that.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for slot in list(ownership.slots.values()):
                if slot.open and slot.issues:
                    try:
                        self.look_at(slot)
                    except Exception as error:  # an error of this slot; the others go on
                        ownership.tasks.failed(slot.current(), error)

    def look_at(self, slot: OwnedSlot) -> None:
        """Tell of the time to each message that it may end."""
        now = self._clock()
        for issue in slot.issues.timed:
            self._doubts.tell(slot, issue, self._time(slot, issue, now))

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


def _found(slot: OwnedSlot, row: OpenIssue) -> FoundRow:
    """The row's facts. Those behind it may have gone on already, perhaps by another rule than that
    of now: a former owner may have known less of its template.
    """
    return FoundRow(
        row.seq,
        row.id,
        row.recipient,
        row.attempt,
        row.doubts,
        RowState(row.state),
        row.age,
        row.cause or "",
        math.inf if row.ttl is None else row.ttl - (row.message_age or 0.0),
        stored=row.body is not None,
        taken=row.wamid is not None,
        failed=row.failed,
        apart=slot.messages.cursor.settled(row.seq) and not row.parked,
    )

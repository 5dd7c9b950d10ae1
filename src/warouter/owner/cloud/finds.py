"""Messages whose rows are read: in the journal, parked, with the inbox, or when they are due."""

from __future__ import annotations

import math
from collections.abc import Callable

from warouter.flow.doubt.events import EvidenceStored
from warouter.flow.doubt.found import FoundRow, found
from warouter.flow.doubt.states import Issue, RowState
from warouter.owner.cloud.carryover import Carryover
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.slot import OwnedSlot
from warouter.store.journal.issues import StoredIssue


class Finds:
    """Brings them into memory, in the state that their rows say."""

    def __init__(
        self,
        doubts: Doubts,
        rules: RuleBook,
        carryover: Carryover,
        clock: Callable[[], float],
    ) -> None:
        self._doubts = doubts
        self._rules = rules
        self._carryover = carryover
        self._clock = clock

    def take(self, slot: OwnedSlot, row: StoredIssue) -> None:
        """Take the row of a message, unless memory knows better."""
        if slot.issues.found(row.id) or row.state == RowState.ISSUED:
            return
        treatment = self._rules.treatment(row.kind or 0, row.body or b"")
        after, effects = found(_facts(row), treatment, self._clock())
        before = _first(row) if row.fresh else after
        self._doubts.carry_out(slot, before, after, effects)
        if row.wamid is not None:
            self._doubts.tell(slot, after, EvidenceStored())
        else:
            self._carryover.found(slot, after)


def _facts(row: StoredIssue) -> FoundRow:
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
        spared=row.spared,
        stored=row.stored,
        fresh=bool(row.fresh),
        number=row.number,
    )


def _first(row: StoredIssue) -> Issue:
    return Issue(row.seq, row.id, row.recipient, number=row.number)

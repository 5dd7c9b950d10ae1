"""Messages with priority that have no place in their slot's memory: they go before those that wait.

What memory does not hold is read back in seq order, and behind a campaign that takes an hour. A
message with priority is taken into its lane at once, if nothing of its recipient is still to be
read; the pager passes it over when it comes there.
"""

from __future__ import annotations

from collections.abc import Sequence

from warouter.link.wire import Message
from warouter.owner.backlog import Backlog
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import SlotTasks
from warouter.store.journal import Journal

MOST = 64  # of a slot at once; each may open a range of the cursor


class PriorityBacklog:
    """Puts urgent messages from beyond memory straight into their lanes."""

    def __init__(
        self, backlog: Backlog, journal: Journal, rules: RuleBook, tasks: SlotTasks
    ) -> None:
        self._backlog = backlog
        self._journal = journal
        self._rules = rules
        self._tasks = tasks
        self.taken = 0

    def offer(self, slot: OwnedSlot, rows: Sequence[Message]) -> None:
        """Take urgent ones of these committed rows that found no place in memory."""
        log = slot.messages
        if log.loaded >= rows[-1].seq or log.cursor.crowded:  # nearly always the first
            return
        urgent = self._rules.urgent
        late = [
            r
            for r in rows
            if r.seq > log.loaded and urgent(r.kind, r.body) and slot.takes(r.number, r.seq)
        ]
        if late:
            self._tasks.begin_task(slot, self._take(slot, late))

    async def _take(self, slot: OwnedSlot, rows: Sequence[Message]) -> None:
        log = slot.messages
        let_go = log.parked.let_go
        slot.ahead = {seq for seq in slot.ahead if seq > log.loaded}
        chosen = rows[: max(0, MOST - len(slot.ahead))]
        if log.parked.beyond:
            await self._backlog.parked.find(slot, {row.lane for row in chosen})
        first = await self._journal.unpreceded(
            slot.slot, log.loaded, [(row.seq, row.number, row.recipient) for row in chosen]
        )
        if log.parked.let_go != let_go:
            return  # of one that was unparked meanwhile others may be parked
        for row in chosen:
            if not slot.open or row.seq not in first or row.seq <= log.loaded:
                continue
            if slot.takes(row.number, row.seq):
                slot.ahead.add(row.seq)
                self.taken += 1
                self._backlog.push(slot, row)

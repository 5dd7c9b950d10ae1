"""Issue rows of requests that were not issued with their message: in batches, before they begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from warouter.cluster.role import SlotEvent
from warouter.flow.lanes import LaneEntry
from warouter.owner.commit import Gather, GroupCommit
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import FENCED, PROVEN, UNKNOWN, Exceptions, IssueRequest, Journal

MAX_ROWS = 1_000
# A request waits for its row no longer than a person would notice; a burst shares its commit.
GATHER = Gather(seconds=0.020, rows=100)


class Marking(msgspec.Struct, frozen=True, gc=False):
    """A request that is to begin once its row is on disk."""

    owned: OwnedSlot
    entry: LaneEntry
    attempt: int
    doubts: int
    body: bytes
    again: bool = False  # it had a row before

    @property
    def size(self) -> int:
        return len(self.body)


class Issued(Protocol):
    """Whoever begins requests."""

    def on_issued(self, slot: OwnedSlot, marking: Marking) -> None:
        """The row of this request is on disk."""

    def on_proven(self, slot: OwnedSlot, marking: Marking) -> None:
        """Called for a request that must not begin: an earlier attempt was taken."""


class Issuer(GroupCommit[Marking]):
    """Writes the rows, then hands the requests on."""

    def __init__(
        self, ownership: Ownership, journal: Journal, recorder: Recorder, issued: Issued
    ) -> None:
        super().__init__(ownership, MAX_ROWS, GATHER)
        self._journal = journal
        self._recorder = recorder
        self._marking: Counter[OwnedSlot] = Counter()
        self._issued = issued

    def mark(self, marking: Marking) -> None:
        """Write the row of this request."""
        self._marking[marking.owned] += 1
        self.put([marking], marking.size)

    def marking(self, slot: OwnedSlot) -> bool:
        """True while rows of the slot are being written."""
        return slot in self._marking

    @property
    def waiting(self) -> int:
        """Number of rows that are not on disk yet."""
        return self._marking.total()

    async def write_batch(self, owned: Mapping[int, int], rows: Sequence[Marking]) -> Exceptions:
        if any(row.again for row in rows):
            # What became of a former request is on disk first: recorded later it would take the row
            # of this one for that.
            await self._recorder.flush()
        return await self._journal.issue(owned, [_request(row) for row in rows])

    def finished(self, batch: list[Marking], exceptions: Exceptions) -> None:
        fenced: dict[OwnedSlot, None] = {}
        self._marking.subtract(row.owned for row in batch)
        self._marking = +self._marking
        for ordinal, row in enumerate(batch):
            outcome, slot = exceptions.get(ordinal), row.owned
            if outcome is FENCED:
                fenced[slot] = None
            elif outcome is not UNKNOWN and slot.open:
                try:
                    tell = self._issued.on_proven if outcome is PROVEN else self._issued.on_issued
                    tell(slot, row)
                except Exception as error:  # an error of this slot; the others go on
                    self._ownership.tasks.failed(slot.current(), error)
        for slot in fenced:
            self._ownership.close(slot, SlotEvent.FENCED)
        self._ownership.progressed()


def _request(row: Marking) -> IssueRequest:
    entry = row.entry
    place = row.owned.slot, entry.seq, entry.id, entry.recipient
    return IssueRequest(*place, row.attempt, row.doubts, entry.number)

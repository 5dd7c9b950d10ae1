"""Reads a log on: what is on disk and never was in memory, page by page, in seq order.

Messages and both kinds of events are read back by this one pager; a ``Source`` says where the rows
come from and takes each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from warouter.flow.log import SlotLog
from warouter.owner.ownership import Ownership
from warouter.owner.parked.log import ParkedLog
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot

PAGE = 500
PAGE_BYTES = 1 << 20


class Paged(Protocol):
    """A row as it is read back."""

    @property
    def seq(self) -> int: ...

    @property
    def recipient(self) -> str: ...

    @property
    def size(self) -> int: ...


RowT = TypeVar("RowT", bound=Paged)


class Source(Protocol[RowT]):
    """One log of every slot, as far as it is read back."""

    def log(self, slot: OwnedSlot) -> SlotLog: ...

    async def page(self, slot: OwnedSlot, upto: int, limit: int, most_bytes: int) -> Sequence[RowT]:
        """The rows that follow what is loaded; fewer than ``limit`` and ``most_bytes``: all."""

    def take(self, slot: OwnedSlot, row: RowT) -> None:
        """A row that is not settled."""

    def paged(self, slot: OwnedSlot) -> None:
        """Reading has ended for now."""


class Pager(Generic[RowT]):
    """Reads one log of every open slot on, beside everything else."""

    def __init__(
        self, source: Source[RowT], parked: ParkedLog[Any], ownership: Ownership, recorder: Recorder
    ) -> None:
        self._source = source
        self._parked = parked
        self._tasks = ownership.tasks
        self._recorder = recorder

    def read_on(self, slot: OwnedSlot) -> None:
        """Read on, if something is left in the journal and nobody is reading it."""
        log = self._source.log(slot)
        if log.behind and not log.loading and slot.open:
            log.loading = True
            self._tasks.begin_task(slot, self._read(slot, log))

    def read_on_if_empty(self, slot: OwnedSlot) -> None:
        """Read on once there is room for a page worth reading."""
        log = self._source.log(slot)
        if not log.caught_up and log.half_empty:
            self.read_on(slot)

    async def _read(self, slot: OwnedSlot, log: SlotLog) -> None:
        try:
            while slot.open and log.behind and log.has_room:
                upto, let_go = log.committed, log.parked.let_go
                rows = await self._source.page(slot, upto, PAGE, PAGE_BYTES)
                if log.parked.beyond:
                    await self._parked.find(slot, {row.recipient for row in rows})
                if not slot.open:
                    return
                if log.parked.let_go != let_go:
                    continue  # rows of a recipient that was unparked meanwhile may be missing
                for row in rows:
                    if not log.cursor.settled(row.seq):
                        self._source.take(slot, row)
                full = len(rows) == PAGE or sum(row.size for row in rows) >= PAGE_BYTES
                log.settle_gaps((row.seq for row in rows), rows[-1].seq if full else upto)
                self._recorder.touch(slot)
        finally:
            log.loading = False
        self._source.paged(slot)

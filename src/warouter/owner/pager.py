"""Reads a log on: what is on disk and never was in memory, page by page, in seq order.

Messages and both kinds of events are read back by this one pager; a ``Source`` says where the rows
come from and takes each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from warouter import background
from warouter.flow.log import SlotLog
from warouter.owner.ownership import Ownership
from warouter.owner.parked.log import ParkedLog
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Stretch

PAGE = 500
PAGE_BYTES = 1 << 20


class Paged(Protocol):
    """A row as it is read back."""

    @property
    def seq(self) -> int: ...

    @property
    def lane(self) -> str: ...

    @property
    def size(self) -> int: ...


RowT = TypeVar("RowT", bound=Paged)


class Source(Protocol[RowT]):
    """One log of every slot, as far as it is read back."""

    def log(self, slot: OwnedSlot) -> SlotLog: ...

    async def pages(
        self, stretches: Sequence[Stretch], limit: int, most_bytes: int
    ) -> Mapping[int, Sequence[RowT]]:
        """The rows of these stretches by slot; fewer than ``limit`` and ``most_bytes``: all."""

    def take(self, slot: OwnedSlot, row: RowT) -> None:
        """A row that is not settled."""

    def paged(self, slot: OwnedSlot) -> None:
        """Reading has ended for now."""


class LogPage(NamedTuple, Generic[RowT]):
    """The rows that follow what was loaded. ``full``: more may follow before ``upto``; ``let_go``:
    how often lanes had been unparked when it was asked for.
    """

    rows: Sequence[RowT]
    upto: int
    full: bool
    let_go: int


class Pager(Generic[RowT]):
    """Reads one log of every open slot on, beside everything else."""

    def __init__(
        self, source: Source[RowT], parked: ParkedLog[Any], ownership: Ownership, recorder: Recorder
    ) -> None:
        self._source = source
        self._parked = parked
        self._tasks = ownership.tasks
        self._recorder = recorder
        self._asked: list[OwnedSlot] = []  # in this turn of the loop

    def read_on(self, slot: OwnedSlot) -> None:
        """Read on, if something is left in the journal and nobody is reading it.

        What is asked for in one turn of the loop has its first pages by one statement: a message to
        the last of the slots that open together would wait for dozens of them.
        """
        log = self._source.log(slot)
        if log.behind and not log.loading and slot.open:
            log.loading = True
            self._asked.append(slot)
            if len(self._asked) == 1:
                asyncio.get_running_loop().call_soon(self._begin)

    def read_on_if_empty(self, slot: OwnedSlot) -> None:
        """Read on once there is room for a page worth reading."""
        log = self._source.log(slot)
        if not log.caught_up and log.half_empty:
            self.read_on(slot)

    def _begin(self) -> None:
        asked, self._asked = [slot for slot in self._asked if slot.open], []
        epochs = {slot.slot: slot.epoch for slot in asked}
        if asked:
            failed = self._tasks.failed
            background.begin(self._read_first(asked), lambda error: failed(epochs, error))

    async def _read_first(self, slots: Sequence[OwnedSlot]) -> None:
        for slot, page in zip(slots, await self._pages(slots), strict=True):
            if slot.open:
                self._tasks.begin_task(slot, self._read(slot, page))

    async def _read(self, slot: OwnedSlot, page: LogPage[RowT]) -> None:
        log = self._source.log(slot)
        try:
            while slot.open:
                if log.parked.beyond:
                    await self._parked.find(slot, {row.lane for row in page.rows})
                if not slot.open:
                    return
                # Else rows of a lane that was unparked meanwhile may be missing.
                if log.parked.let_go == page.let_go:
                    self._take(slot, page)
                if not (log.behind and log.has_room):
                    break
                [page] = await self._pages([slot])
        finally:
            log.loading = False
        self._source.paged(slot)

    async def _pages(self, slots: Sequence[OwnedSlot]) -> list[LogPage[RowT]]:
        """The next page of each; all together are as large as that of one alone."""
        limit, most_bytes = max(1, PAGE // len(slots)), max(1, PAGE_BYTES // len(slots))
        stretches, let_go = [], []
        for slot in slots:
            log = self._source.log(slot)
            stretches.append(Stretch(slot.slot, log.loaded, log.committed))
            let_go.append(log.parked.let_go)
        read = await self._source.pages(stretches, limit, most_bytes)
        pages = []
        for stretch, before in zip(stretches, let_go, strict=True):
            rows = read[stretch.slot]
            full = len(rows) == limit or sum(row.size for row in rows) >= most_bytes
            pages.append(LogPage(rows, stretch.upto, full, before))
        return pages

    def _take(self, slot: OwnedSlot, page: LogPage[RowT]) -> None:
        log, rows = self._source.log(slot), page.rows
        for row in rows:
            if not log.cursor.settled(row.seq):
                self._source.take(slot, row)
        log.settle_gaps((row.seq for row in rows), rows[-1].seq if page.full else page.upto)
        self._recorder.touch(slot)

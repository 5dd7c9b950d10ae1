"""Group commit: while one commit is in flight rows gather, and the next one takes them all.

A row that comes after a pause waits for nothing. In a stream rows gather a little longer, since a
commit costs as much as dozens of rows, however few it has. Rows of an
epoch that ended while they waited are not written; their outcome is FENCED. After an error nobody
knows what became of a batch: its outcomes are UNKNOWN, and its slots go on under new epochs.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Generic, NamedTuple, Protocol, TypeVar

from warouter.background import wait_for
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import FENCED, UNKNOWN, Exceptions

log = logging.getLogger(__name__)

MAX_BYTES = 4 << 20  # of one commit


class Queued(Protocol):
    """A row with its slot, and its size in bytes."""

    @property
    def owned(self) -> OwnedSlot: ...

    @property
    def size(self) -> int: ...


RowT = TypeVar("RowT", bound=Queued)
_owned = attrgetter("owned")


class Gather(NamedTuple):
    """How rows of a stream gather: for ``seconds`` from one commit's end, until there are ``rows``
    or one is urgent, and only after a commit of ``after`` rows or more.
    """

    seconds: float
    rows: int
    after: int = 1


class GroupCommit(ABC, Generic[RowT]):
    """A queue of rows; its order is that of the journal."""

    def __init__(self, ownership: Ownership, most_rows: int, gather: Gather) -> None:
        self._ownership = ownership
        self._most_rows = most_rows
        self._gather = gather
        self._clock = asyncio.get_running_loop().time
        self._queue: list[RowT] = []
        self._queued_bytes = 0
        self._committing_bytes = 0  # of these
        self._wake = asyncio.Event()
        self._enough = asyncio.Event()  # set once enough is queued to commit at once
        self._ended = float("-inf")  # the last commit
        self._committed = 0  # rows of it
        self.appended = 0
        self.commits = 0

    @property
    def queued(self) -> int:
        return len(self._queue)

    @abstractmethod
    async def write_batch(self, owned: Mapping[int, int], rows: Sequence[RowT]) -> Exceptions:
        """Write these rows; ``owned`` are the epochs of their slots."""

    @abstractmethod
    def finished(self, batch: list[RowT], exceptions: Exceptions) -> None:
        """Tell those who wait what became of each row, and pass on what is new.

        All were appended but for the ``exceptions``, by their ordinals in the batch.
        """

    def put(self, rows: Sequence[RowT], size: int, *, urgent: bool = False) -> None:
        """Queue rows of ``size`` bytes. What is ``urgent`` does not gather, nor does what stands
        before it.
        """
        self._queue += rows
        self._grown(size, urgent=urgent)

    def _grown(self, size: int, *, urgent: bool = False) -> None:
        """Rows of ``size`` bytes were queued."""
        self._queued_bytes += size
        self._wake.set()
        if urgent or len(self._queue) >= self._gather.rows:
            self._enough.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._gathered()
                batch = self._batch()
                await self._commit(batch)
                self._ended, self._committed = self._clock(), len(batch)

    async def _gathered(self) -> None:
        """Wait for more rows of a stream."""
        gather = self._gather
        rest = self._ended + gather.seconds - self._clock()
        if rest > 0 and self._committed >= gather.after and len(self._queue) < gather.rows:
            await wait_for(self._enough, rest)
        self._enough.clear()

    def _batch(self) -> list[RowT]:
        queue = self._queue
        if len(queue) <= self._most_rows and self._queued_bytes <= MAX_BYTES:  # nearly always
            self._queue = []
            self._committing_bytes = self._queued_bytes
            return queue
        rows = size = 0
        for row in islice(queue, self._most_rows):
            if size >= MAX_BYTES:
                break
            rows += 1
            size += row.size
        batch, self._queue = queue[:rows], queue[rows:]
        self._committing_bytes = size
        return batch

    async def _commit(self, batch: list[RowT]) -> None:
        # Each row is judged by its place in the batch: an id may be in it twice, once under an
        # epoch that has ended.
        slots = dict.fromkeys(map(_owned, batch))
        owned = {slot.slot: slot.epoch for slot in slots if slot.open}
        alive, ended = batch, []
        if len(owned) < len(slots):
            alive = [row for row in batch if row.owned.open]
            ended = [row for row in batch if not row.owned.open]
        try:
            exceptions = await self._exceptions(owned, alive)
        except Exception as error:
            extra = {"rows": len(alive), "error": str(error)}
            log.warning("append confirmation failed", extra=extra)
            self.finished([*ended, *alive], dict.fromkeys(range(len(batch)), UNKNOWN))
            self._ownership.tasks.failed(owned, error)
            return
        finally:
            self._queued_bytes -= self._committing_bytes
        for ordinal in range(len(alive), len(batch)):
            exceptions[ordinal] = FENCED
        self.finished([*alive, *ended] if ended else batch, exceptions)

    async def _exceptions(self, owned: Mapping[int, int], rows: list[RowT]) -> Exceptions:
        if not rows:
            return {}
        exceptions = await self.write_batch(owned, rows)
        self.commits += 1
        self.appended += len(rows) - len(exceptions)
        return exceptions

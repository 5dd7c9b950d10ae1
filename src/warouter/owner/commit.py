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
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from warouter.background import wait_for
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import APPENDED, FENCED, UNKNOWN, Exceptions, Outcome

log = logging.getLogger(__name__)

MAX_BYTES = 4 << 20  # of one commit


class Placed(Protocol):
    """A row with its place in a journal."""

    @property
    def seq(self) -> int: ...

    @property
    def size(self) -> int: ...


RowT = TypeVar("RowT", bound=Placed)
OriginT = TypeVar("OriginT")


class Gather(NamedTuple):
    """How rows of a stream gather: for ``seconds`` from one commit's end, until there are ``rows``
    or one is urgent, and only after a commit of ``after`` rows or more.
    """

    seconds: float
    rows: int
    after: int = 1


class GroupCommit(ABC, Generic[RowT, OriginT]):
    """A queue of rows, each with its slot and with whoever waits for its outcome."""

    def __init__(self, ownership: Ownership, most_rows: int, gather: Gather) -> None:
        self._ownership = ownership
        self._most_rows = most_rows
        self._gather = gather
        self._clock = asyncio.get_running_loop().time
        self._queue: deque[tuple[OwnedSlot, RowT, OriginT]] = deque()
        self._queued_bytes = 0
        self._committing_bytes = 0  # of these
        self._wake = asyncio.Event()
        self._enough = asyncio.Event()  # what is queued gathers no longer
        self._ended = float("-inf")  # the last commit
        self._committed = 0  # rows of it
        self.appended = 0
        self.commits = 0

    @property
    def queued(self) -> int:
        return len(self._queue)

    @abstractmethod
    async def append(self, owned: Mapping[int, int], rows: Sequence[RowT]) -> Exceptions:
        """Write these rows; ``owned`` are the epochs of their slots."""

    @abstractmethod
    def finished(
        self, batch: Sequence[tuple[OwnedSlot, RowT, OriginT]], outcomes: Sequence[Outcome]
    ) -> None:
        """Tell those who wait what became of each row, and pass on what is new."""

    def put(
        self, slot: OwnedSlot, row: RowT, origin: OriginT, size: int, *, urgent: bool = False
    ) -> None:
        """The order of the queue is that of the journal; ``size`` is the row's, in bytes.

        An ``urgent`` row does not gather, nor does what stands before it.
        """
        self._queue.append((slot, row, origin))
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

    def _batch(self) -> list[tuple[OwnedSlot, RowT, OriginT]]:
        batch: list[tuple[OwnedSlot, RowT, OriginT]] = []
        queue, size = self._queue, 0
        while queue and len(batch) < self._most_rows and size < MAX_BYTES:
            item = queue.popleft()
            size += item[1].size
            batch.append(item)
        self._committing_bytes = size
        return batch

    async def _commit(self, batch: list[tuple[OwnedSlot, RowT, OriginT]]) -> None:
        # Each row is judged by its place in the batch: an id may be in it twice, once under an
        # epoch that has ended.
        slots = dict.fromkeys(slot for slot, _, _ in batch)
        owned = {slot.slot: slot.epoch for slot in slots if slot.open}
        alive, ended = batch, []
        if not all(slot.open for slot in slots):
            alive = [item for item in batch if item[0].open]
            ended = [item for item in batch if not item[0].open]
        try:
            outcomes = await self._outcomes(owned, [row for _, row, _ in alive])
        except Exception as error:
            extra = {"rows": len(alive), "error": str(error)}
            log.warning("append confirmation failed", extra=extra)
            self.finished([*ended, *alive] if ended else batch, [UNKNOWN] * len(batch))
            self._ownership.tasks.failed(owned, error)
            return
        finally:
            self._queued_bytes -= self._committing_bytes
        self.finished([*alive, *ended] if ended else batch, outcomes + [FENCED] * len(ended))

    async def _outcomes(self, owned: Mapping[int, int], rows: list[RowT]) -> list[Outcome]:
        if not rows:
            return []
        exceptions = await self.append(owned, rows)
        self.commits += 1
        self.appended += len(rows) - len(exceptions)
        outcomes: list[Outcome] = [APPENDED] * len(rows)
        for ordinal, outcome in exceptions.items():
            outcomes[ordinal] = outcome
        return outcomes

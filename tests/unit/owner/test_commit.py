"""When rows that wait for a commit get one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from warouter.owner.commit import Gather, GroupCommit
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Exceptions

ENDLESS = 3600.0  # whoever waits for it is seen to wait


class Numbered(NamedTuple):
    owned: OwnedSlot
    seq: int
    size: int = 1


class Kept(GroupCommit[Numbered]):
    """Commits to a queue."""

    def __init__(self, gather: Gather | None) -> None:
        nobody: Any = None
        super().__init__(nobody, 10, gather)
        self.batches: asyncio.Queue[list[int]] = asyncio.Queue()
        self._slot = OwnedSlot(3, 1)

    def add(self, *numbers: int, urgent: bool = False) -> None:
        for number in numbers:
            row = Numbered(self._slot, number)
            self.put([row], row.size, urgent=urgent)

    async def write_batch(self, owned: Mapping[int, int], rows: Sequence[Numbered]) -> Exceptions:
        await self.batches.put([row.seq for row in rows])
        return {}

    def finished(self, batch: list[Numbered], exceptions: Exceptions) -> None:
        """Nobody waits."""


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    """One whose first commit has just been, so that it gathers: for good, or until four wait."""
    kept = Kept(Gather(ENDLESS, rows=4))
    task = asyncio.create_task(kept.run())
    kept.add(1)
    assert await kept.batches.get() == [1]  # after a pause a row waits for nothing
    yield kept
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def turns() -> None:
    """As many turns of the loop as a commit could need."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_rows_of_a_stream_gather(kept: Kept) -> None:
    kept.add(2)
    await turns()
    kept.add(3)
    await turns()
    assert kept.batches.empty()
    kept.add(4, 5)
    assert await kept.batches.get() == [2, 3, 4, 5]


async def test_a_small_rest_of_a_large_batch_gathers(kept: Kept) -> None:
    kept.add(*range(2, 16))
    assert await kept.batches.get() == list(range(2, 12))
    assert await kept.batches.get() == [12, 13, 14, 15]


async def test_an_urgent_row_takes_along_what_stands_before_it(kept: Kept) -> None:
    kept.add(2)
    await turns()
    kept.add(3, urgent=True)
    assert await kept.batches.get() == [2, 3]
    kept.add(4)
    await turns()
    assert kept.batches.empty()  # it has spoken for itself only


async def test_rows_gather_no_longer_than_they_may() -> None:
    kept = Kept(Gather(0.01, rows=100))
    task = asyncio.create_task(kept.run())
    for number in range(3):
        kept.add(number)
        assert await kept.batches.get() == [number]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

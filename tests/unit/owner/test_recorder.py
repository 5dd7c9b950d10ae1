"""When progress is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from warouter.flow.lanes import WINDOW, LaneEntry
from warouter.owner import recorder
from warouter.owner.recorder import MANY, Recorder
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import SlotProgress

NEVER, AT_ONCE = 3600.0, 0.0


class Owner:
    """The ownership of one slot and its journal: keeps what is recorded."""

    def __init__(self) -> None:
        self.slot = OwnedSlot(3, 1)
        self.slots = {3: self.slot}
        self.marks: asyncio.Queue[int] = asyncio.Queue()
        me: Any = self
        self.recorder = Recorder(me, me)

    async def record(self, owned: Mapping[int, int], slots: Sequence[SlotProgress]) -> set[int]:
        await self.marks.put(slots[0].messages.mark)
        return set(owned)

    def recorded(self, _slots: Sequence[OwnedSlot]) -> None:
        """Nobody hears."""

    def settle(self, *seqs: int) -> None:
        for seq in seqs:
            self.slot.messages.settle(seq)
        self.recorder.touch(self.slot, len(seqs))


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    owner = Owner()
    task = asyncio.create_task(owner.recorder.run())
    yield owner
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def paced(monkeypatch: pytest.MonkeyPatch, flush: float, few: float) -> None:
    """Any record waits so long, and one of few rows so long."""
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", flush)
    monkeypatch.setattr(recorder, "FEW_SECONDS", few)


async def test_few_rows_wait_for_more(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    paced(monkeypatch, AT_ONCE, NEVER)
    for seq in range(1, MANY + 1):
        assert owner.marks.empty()
        owner.settle(seq)
        await asyncio.sleep(0.001)
    assert await owner.marks.get() == MANY


async def test_many_rows_of_one_touch_do_not_wait(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced(monkeypatch, AT_ONCE, NEVER)
    owner.settle(*range(1, MANY + 1))
    assert await owner.marks.get() == MANY
    owner.settle(MANY + 1)
    await asyncio.sleep(0.001)
    await owner.recorder.flush()  # whoever asks is not kept waiting
    assert await owner.marks.get() == MANY + 1


async def test_a_full_window_waits_for_nothing(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced(monkeypatch, NEVER, NEVER)
    lanes = owner.slot.lanes
    for seq in range(1, WINDOW + 1):
        lanes.push(LaneEntry(seq, bytes([seq]), str(seq), 0, b"", 0, False))
    assert len(list(lanes.take(None))) == WINDOW
    owner.settle(1)
    assert await owner.marks.get() == 1


async def test_those_who_ask_while_a_record_is_under_way_share_the_next() -> None:
    """Else each would have one of its own as long as anything moves, and the last wait for all."""

    class Busy(Owner):
        def __init__(self) -> None:
            super().__init__()
            self.goes_on = asyncio.Event()

        async def record(self, owned: Mapping[int, int], slots: Sequence[SlotProgress]) -> set[int]:
            held = await super().record(owned, slots)
            await self.goes_on.wait()
            self.settle(slots[0].messages.mark + 1)  # something moves at all times
            return held

    owner = Busy()
    owner.settle(1)
    first = asyncio.create_task(owner.recorder.flush())
    assert await owner.marks.get() == 1
    owner.settle(2)
    others = [asyncio.create_task(owner.recorder.flush()) for _ in range(10)]
    await asyncio.sleep(0)
    owner.goes_on.set()
    await asyncio.gather(first, *others)
    assert owner.recorder.commits == 2
    assert owner.marks.get_nowait() >= 2  # all that had moved when they asked


async def test_a_cancelled_flush_does_not_cancel_the_record_of_others(owner: Owner) -> None:
    await owner.recorder.turn.acquire()
    owner.settle(1)
    asks, goes = (asyncio.create_task(owner.recorder.flush()) for _ in range(2))
    await asyncio.sleep(0)
    goes.cancel()
    await asyncio.gather(goes, return_exceptions=True)
    owner.recorder.turn.release()
    await asks
    assert await owner.marks.get() == 1

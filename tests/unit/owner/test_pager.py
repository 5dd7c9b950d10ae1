"""Pages of several slots, asked for in one turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from tests.harness.wait import soon
from warouter.cluster.role import SlotEvent
from warouter.flow.log import SlotLog
from warouter.owner.pager import PAGE, Pager
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import SlotTasks
from warouter.store.journal import ReadRow, Stretch


class Source:
    """A journal whose slots have the rows 1 to ``last`` each; ``error`` is what a read ends in."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.asked: list[tuple[list[Stretch], int]] = []
        self.taken: dict[int, list[int]] = {}
        self.ended: list[int] = []
        self.doubted: dict[int, int] = {}
        self.error: Exception | None = None
        tasks = SlotTasks(lambda epochs, _why: self.doubted.update(epochs))
        parts: Any = SimpleNamespace(tasks=tasks, touch=lambda _slot: None)
        self.pager = Pager[ReadRow](self, parts, parts, parts)

    def open(self, number: int) -> OwnedSlot:
        slot = OwnedSlot(number, 1)
        slot.happened(SlotEvent.OPENED)
        slot.messages.opened(0, [], self.last + 1)
        return slot

    def log(self, slot: OwnedSlot) -> SlotLog:
        return slot.messages

    async def pages(
        self, stretches: Sequence[Stretch], limit: int, _most_bytes: int
    ) -> dict[int, list[ReadRow]]:
        self.asked.append((list(stretches), limit))
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return {
            slot: [
                ReadRow(seq, bytes(20), "1", 0, b"{}", None, 0.0)
                for seq in range(after + 1, min(upto, after + limit) + 1)
            ]
            for slot, after, upto in stretches
        }

    def take(self, slot: OwnedSlot, row: ReadRow) -> None:
        self.taken.setdefault(slot.slot, []).append(row.seq)

    def paged(self, slot: OwnedSlot) -> None:
        self.ended.append(slot.slot)


async def test_slots_of_one_turn_have_their_first_pages_by_one_statement() -> None:
    source = Source(last=PAGE // 2 + 1)
    slots = [source.open(number) for number in (3, 5)]
    for slot in (*slots, slots[0]):
        source.pager.read_on(slot)
    await soon(lambda: source.ended == [3, 5])
    (first, limit), *others = source.asked
    assert (first, limit) == ([Stretch(3, 0, source.last), Stretch(5, 0, source.last)], PAGE // 2)
    assert others == [([Stretch(n, PAGE // 2, source.last)], PAGE) for n in (3, 5)]
    assert source.taken == {n: list(range(1, source.last + 1)) for n in (3, 5)}
    assert all(slot.messages.caught_up for slot in slots)


async def test_a_slot_that_closed_in_that_turn_is_not_read() -> None:
    source = Source(last=1)
    former, slot = source.open(3), source.open(3)
    source.pager.read_on(former)
    source.pager.read_on(slot)
    former.happened(SlotEvent.DOUBTED)
    await soon(lambda: source.ended == [3])
    assert source.asked == [([Stretch(3, 0, 1)], PAGE)]
    assert not former.messages.cursor.settled(1)


async def test_a_failed_read_ends_the_epochs_of_all_that_asked() -> None:
    source = Source(last=1)
    source.error = KeyError("nobody thought of it")
    for number in (3, 5):
        source.pager.read_on(source.open(number))
    await soon(lambda: source.doubted == {3: 1, 5: 1})
    assert source.taken == {}

"""Progress to the database: per batch, not per message; at most ten times a second.

While little is settled it waits for more, as a commit costs the same for one row; but a successor
sends and calls back once more what is not recorded, so MANY rows wait no longer. A slot whose
window is full is recorded at once, since nothing more of it may be sent before; so is the end of a
message that holds back others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable
from typing import NamedTuple

from warouter.background import wait_for
from warouter.cluster.role import SlotEvent
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal, SlotProgress

FLUSH_SECONDS = 0.1
FEW_SECONDS = 0.5  # as long as fewer than MANY rows were settled
MANY = 64


class ProgressRecord(NamedTuple):
    """One record of some slots, and the messages that are settled once it is on disk."""

    progress: list[SlotProgress]
    settled: dict[OwnedSlot, list[int]]


class Recorder:
    """Records how far every log of every slot is, in one commit. ``turn`` is held by whoever writes
    a record.
    """

    def __init__(self, ownership: Ownership, journal: Journal) -> None:
        self._ownership = ownership
        self._journal = journal
        self._rows = 0  # settled, or otherwise changed, since the last record
        self._dirty = asyncio.Event()
        self._many = asyncio.Event()
        self._urgent = asyncio.Event()
        self.turn = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None  # a record that waits for the one under way
        self.commits = 0

    def touch(self, slot: OwnedSlot, rows: int = 1) -> None:
        """Note that so many rows moved; record soon, or now when the slot's window is full."""
        self._rows += rows
        self._dirty.set()
        if self._rows >= MANY:
            self._many.set()
        if slot.lanes.window_full:
            self.hurry()

    def hurry(self) -> None:
        """Record what has moved now: something waits for it."""
        self._many.set()
        self._urgent.set()

    async def run(self) -> None:
        while True:
            await self._dirty.wait()
            await wait_for(self._urgent, FLUSH_SECONDS)
            await wait_for(self._many, FEW_SECONDS - FLUSH_SECONDS)
            self._urgent.clear()
            await self.flush()

    async def flush(self) -> None:
        """Record everything that is dirty now. Who asks while another waits for the record that is
        under way shares his: one each would stand in a line that a move has no time for.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._flush())
        await asyncio.shield(self._next)

    async def _flush(self) -> None:
        async with self.turn:
            self._next = None
            self._rows = 0
            self._dirty.clear()
            self._many.clear()
            slots = [s for s in self._ownership.slots.values() if s.dirty]
            if slots:
                await self._record(slots)

    async def _record(self, slots: list[OwnedSlot]) -> None:
        owned = {s.slot: s.epoch for s in slots}
        record = self.begins(slots)
        try:
            held = await self._journal.record(owned, record.progress)
        except Exception as error:
            self._ownership.tasks.failed(owned, error)
            return
        self.commits += 1
        self.on_disk(record, held)

    def begins(self, slots: Iterable[OwnedSlot]) -> ProgressRecord:
        """Return what is to be recorded of these slots now."""
        record = ProgressRecord([], {})
        for slot in slots:
            if slot.consumers.aside:
                for change in slot.consumers.record_begins(slot.recorded):
                    slot.messages.note(change)
            messages, record.settled[slot] = slot.messages.record_begins()
            statuses, _ = slot.statuses.record_begins()
            inbound, _ = slot.inbound.record_begins()
            record.progress.append(SlotProgress(slot.slot, messages, statuses, inbound))
            slot.records += 1
        return record

    def on_disk(self, record: ProgressRecord, held: Container[int]) -> None:
        """Go on with what is recorded; slots that were not ``held`` any more close."""
        for slot, settled in record.settled.items():
            if slot.slot not in held:
                self._ownership.close(slot, SlotEvent.FENCED)
                continue
            slot.recorded = slot.records
            slot.lanes.recorded(settled)
            if slot.consumers.aside:
                slot.consumers.recorded(slot.recorded)
                if slot.dirty:
                    self.touch(slot, 0)
        self._ownership.recorded(record.settled)

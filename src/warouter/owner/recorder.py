"""Progress to the database: per batch, not per message; at most ten times a second.

A slot whose window is full is recorded at once, since nothing more of it may be sent before.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from warouter.background import wait_for
from warouter.cluster.role import Happened
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal, Progress

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.1


class Recorder:
    """Records cursors and what is rare for all slots in one commit."""

    def __init__(self, ownership: Ownership, journal: Journal) -> None:
        self._ownership = ownership
        self._journal = journal
        self._dirty = asyncio.Event()
        self._urgent = asyncio.Event()
        self._lock = asyncio.Lock()
        self.commits = 0

    def touch(self, slot: OwnedSlot) -> None:
        """Something of the slot moved; record it soon, or now when its window is full."""
        self._dirty.set()
        if slot.lanes.window_full:
            self._urgent.set()

    async def run(self) -> None:
        while True:
            await self._dirty.wait()
            await wait_for(self._urgent, FLUSH_SECONDS)
            self._dirty.clear()
            self._urgent.clear()
            await self.flush()

    async def flush(self) -> None:
        """Record everything that is dirty now."""
        async with self._lock:
            slots = [s for s in self._ownership.slots.values() if s.dirty]
            if slots:
                await self._record(slots)

    async def _record(self, slots: list[OwnedSlot]) -> None:
        owned = {s.slot: s.epoch for s in slots}
        settled = {s.slot: s.unrecorded for s in slots}
        progress = _progress(slots)
        for slot in slots:
            slot.dirty, slot.unrecorded, slot.rare = False, [], {}
            slot.records += 1
        try:
            held = await self._journal.record(owned, progress)
        except Exception as error:
            self._ownership.tasks.failed(owned, error)
            return
        self.commits += 1
        for slot in slots:
            if slot.slot not in held:
                self._ownership.close(slot, Happened.FENCED)
                continue
            slot.recorded = slot.records
            slot.lanes.recorded(settled[slot.slot])
        self._ownership.recorded(slots)


def _progress(slots: list[OwnedSlot]) -> Progress:
    rare: dict[str, list[dict[str, Any]]] = {}
    for slot in slots:
        for what, rows in slot.rare.items():
            rare.setdefault(what, []).extend(rows)
    return Progress(
        {s.slot: (s.cursor.mark, s.cursor.flat) for s in slots},
        {
            (s.slot, kind): (log.cursor.mark, log.cursor.flat)
            for s in slots
            for kind, log in enumerate(s.events)
        },
        rare,
    )

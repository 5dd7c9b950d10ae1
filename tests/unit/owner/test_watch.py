"""How often slots are looked at for what is parked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from warouter.owner.parked import log as parked
from warouter.owner.parked.log import Watch
from warouter.owner.slot import OwnedSlot


class Owner:
    """The ownership of one slot, and what watches it."""

    def __init__(self) -> None:
        self.slots = {3: OwnedSlot(3, 1)}
        self.parked = asyncio.Event()
        self.tasks = self
        self.resting = True
        self.asked = asyncio.Event()
        self.looked = asyncio.Event()

    async def guard(self, _epochs: object, work: Awaitable[None]) -> None:
        await work

    def rests(self, _slot: OwnedSlot) -> bool:
        self.asked.set()
        return self.resting

    async def look_at(self, _slot: OwnedSlot) -> None:
        self.looked.set()


async def test_a_resting_slot_is_looked_at_as_soon_as_something_is_parked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parked, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(parked, "REST_SECONDS", 3600.0)
    owner: Any = Owner()
    watch = asyncio.create_task(Watch(owner, [owner]).run())
    await owner.asked.wait()
    for _ in range(10):
        owner.asked.clear()
        await asyncio.sleep(0)
    assert not owner.asked.is_set()
    owner.resting = False
    owner.parked.set()
    await owner.looked.wait()
    owner.looked.clear()
    await owner.looked.wait()  # and again, while something is
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)

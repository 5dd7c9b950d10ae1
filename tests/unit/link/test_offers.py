"""Statuses that a webapp gathers for their owners."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from tests.harness.wait import soon
from warouter.link import offers, wire
from warouter.link.offers import GATHER_STATUSES, StatusOffers
from warouter.link.ways import Straight

ENDLESS = 3600.0
OWNERS = UUID(int=1), UUID(int=2)


class Scene:
    """Slots of two owners, who write down how many statuses an offer has."""

    def __init__(self) -> None:
        self.offered: list[int] = []
        self.offers = StatusOffers(self._way, asyncio.get_running_loop())
        self._asked: list[asyncio.Task[set[str]]] = []

    def _way(self, slot: int) -> Straight | None:
        return Straight(7, OWNERS[slot % 2], self._answer)

    def _answer(self, frame: bytes) -> None:
        offer = wire.parse(memoryview(frame))
        assert isinstance(offer, wire.StatusOffer)
        assert {status.epoch for status in offer.statuses} == {7}
        self.offered.append(len(offer.statuses))
        self.offers.stored(wire.StatusOutcome(offer.number, []))

    async def ask(self, slots: Sequence[int]) -> None:
        """Offer statuses of these slots, a call each."""
        for slot in slots:
            status = wire.OfferedStatus(slot, 0, f"key-{len(self._asked)}", b"", 1, "w", "1", b"{}")
            self._asked.append(asyncio.create_task(self.offers.offer([status])))
        await asyncio.sleep(0)

    async def stored(self) -> int:
        """How many callers hear that theirs is on disk."""
        return sum(map(len, await asyncio.gather(*self._asked)))


async def test_many_wait_for_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "GATHER_SECONDS", ENDLESS)
    scene = Scene()
    await scene.ask(range(GATHER_STATUSES - 1))
    assert scene.offered == []
    await scene.ask([0])
    assert sorted(scene.offered) == [GATHER_STATUSES // 2 - 1, GATHER_STATUSES // 2 + 1]
    assert await scene.stored() == GATHER_STATUSES


async def test_few_are_offered_in_time_and_those_after_many_too() -> None:
    scene = Scene()
    await scene.ask([0, 0, 1])
    await soon(lambda: sorted(scene.offered) == [1, 2])
    await scene.ask([0] * GATHER_STATUSES)
    await scene.ask([0])
    await soon(lambda: scene.offered[2:] == [GATHER_STATUSES, 1])
    assert await scene.stored() == GATHER_STATUSES + 4

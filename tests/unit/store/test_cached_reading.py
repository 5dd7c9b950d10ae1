"""Readings that several pages, or scrapers, share."""

from __future__ import annotations

import asyncio

from tests.harness.still import StillClock
from warouter.store.cached_reading import CachedReading


class Reading:
    """Counts how often it was read; fails while it is told to."""

    def __init__(self) -> None:
        self.times = 0
        self.fails = False
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> int:
        self.times += 1
        self.began.set()
        await self.gate.wait()
        if self.fails:
            raise TimeoutError
        return self.times


async def test_callers_within_the_time_share_a_reading() -> None:
    read, clock = Reading(), StillClock(100.0)
    kept = CachedReading(read, 0.9, clock)
    assert [await kept.get(), await kept.get()] == [1, 1]
    clock.now += 0.9
    assert await kept.get() == 2


async def test_later_callers_wait_for_the_reading_under_way() -> None:
    read = Reading()
    read.gate.clear()
    kept = CachedReading(read, 0.9, StillClock(100.0))
    asking = [asyncio.ensure_future(kept.get()) for _ in range(10)]
    await read.began.wait()
    read.gate.set()
    assert await asyncio.gather(*asking) == [1] * 10


async def test_a_reading_that_fails_is_not_kept() -> None:
    read = Reading()
    read.fails = True
    kept = CachedReading(read, 0.9, StillClock(100.0))
    outcomes = await asyncio.gather(*(kept.get() for _ in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 5
    read.fails = False
    assert await kept.get() == 2


async def test_a_forgotten_reading_is_made_anew() -> None:
    read = Reading()
    kept = CachedReading(read, 0.9, StillClock(100.0))
    await kept.get()
    kept.forget()
    assert await kept.get() == 2


async def test_a_caller_that_gives_up_leaves_the_reading_to_others() -> None:
    read = Reading()
    read.gate.clear()
    kept = CachedReading(read, 0.9, StillClock(100.0))
    leaves, stays = asyncio.ensure_future(kept.get()), asyncio.ensure_future(kept.get())
    await read.began.wait()
    leaves.cancel()
    read.gate.set()
    assert await stays == 1

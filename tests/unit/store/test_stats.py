"""A reading that many scrapers share."""

from __future__ import annotations

import asyncio

import pytest

from warouter.store.views.stats import _Kept


async def test_all_who_ask_meanwhile_get_the_outcome_of_one_reading() -> None:
    readings, ends = 0, asyncio.Event()

    async def read() -> int:
        nonlocal readings
        readings += 1
        await ends.wait()
        if readings == 1:
            raise TimeoutError
        return readings

    kept = _Kept(read)
    asked = [asyncio.create_task(kept.get()) for _ in range(5)]
    await asyncio.sleep(0)
    gone = asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    gone.cancel()  # one who leaves ends it for nobody else
    ends.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 5
    assert readings == 1
    assert await asyncio.gather(*(kept.get() for _ in range(5))) == [2] * 5
    assert await kept.get() == 2
    with pytest.raises(asyncio.CancelledError):
        await gone

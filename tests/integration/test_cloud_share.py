"""What the owners of a number say to each other, on a real PostgreSQL."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from tests.harness.journals import ME, OTHER, own
from warouter.store.cloud.number import share


async def demands(pool: asyncpg.Pool, asks: UUID, demand: float) -> dict[UUID, float]:
    found = await share(pool.fetch, asks, demand, b"token")
    return {each.incarnation: each.demand for each in found.demands}


async def test_who_lost_its_slots_takes_no_part_of_the_rate(pool: asyncpg.Pool) -> None:
    """What a dead owner wanted is what its successor wants."""
    await own(pool, 3, 1)
    await demands(pool, ME, 30.0)
    assert await demands(pool, OTHER, 7.0) == {ME: 30.0, OTHER: 7.0}
    await pool.execute("update slot set owner = $1 where slot = 3", OTHER)
    assert await demands(pool, OTHER, 37.0) == {OTHER: 37.0}

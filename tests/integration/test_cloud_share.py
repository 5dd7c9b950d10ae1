"""What the owners of a number say to each other, on a real PostgreSQL."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from tests.harness.journals import ME, OTHER, own
from warouter.store.cloud.number import Stop, resume, share, stop


async def demands(pool: asyncpg.Pool, asks: UUID, demand: float) -> dict[UUID, float]:
    found = await share(pool.fetch, asks, demand, b"token")
    return {each.incarnation: each.demand for each in found.demands}


async def test_an_owner_that_lost_its_slots_has_no_part_of_the_rate(pool: asyncpg.Pool) -> None:
    """What a dead owner wanted is what its successor wants."""
    await own(pool, 3, 1)
    await demands(pool, ME, 30.0)
    assert await demands(pool, OTHER, 7.0) == {ME: 30.0, OTHER: 7.0}
    await pool.execute("update slot set owner = $1 where slot = 3", OTHER)
    assert await demands(pool, OTHER, 37.0) == {OTHER: 37.0}


async def stops(pool: asyncpg.Pool, asks: UUID, token: bytes) -> Stop | None:
    return (await share(pool.fetch, asks, 1.0, token)).stop


async def test_a_stop_is_of_the_token_that_was_refused(pool: asyncpg.Pool) -> None:
    await own(pool, 3, 1)
    dead = Stop(190, "expired", b"old")
    assert (await stops(pool, ME, b"old"), await stops(pool, OTHER, b"new")) == (None, None)
    assert await stop(pool.fetch, dead)
    assert not await stop(pool.fetch, dead), "it is no news"
    assert (await stops(pool, ME, b"old"), await stops(pool, OTHER, b"new")) == (dead, None)
    await resume(pool.fetch, b"new")
    assert await stops(pool, ME, b"old") == dead, "success with another token says nothing of it"
    await resume(pool.fetch, b"old")
    assert await stops(pool, ME, b"old") is None


async def test_a_stop_ends_with_the_last_owner_of_its_token(pool: asyncpg.Pool) -> None:
    await own(pool, 3, 1)
    await stops(pool, ME, b"old")
    await stop(pool.fetch, Stop(190, "expired", b"old"))
    await stops(pool, OTHER, b"new")
    assert await pool.fetchval("select count(*) from cloud_pause") == 1
    assert await stops(pool, ME, b"new") is None
    await stops(pool, OTHER, b"new")
    assert await pool.fetchval("select count(*) from cloud_pause") == 1, "it may be a new token's"
    await pool.execute("update cloud_pause set at = at - interval '10 s'")
    await stops(pool, OTHER, b"new")
    assert await pool.fetchval("select count(*) from cloud_pause") == 0

"""What the owners of a number say to each other, on a real PostgreSQL."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from tests.harness.cloud_number import some_number
from tests.harness.journals import ME, OTHER, own
from warouter.store.cloud.number import Stop, describe, hold_back, resume, share, stop

OF = {n: some_number(id=n, waba_id="2" if n < 3 else "3") for n in (1, 2, 3)}


async def demands(
    pool: asyncpg.Pool, asks: UUID, demand: float, number: int = 1
) -> dict[UUID, float]:
    found = await share(pool.fetch, asks, OF[number], demand, b"token")
    return {each.incarnation: each.demand for each in found.demands}


async def test_an_owner_that_lost_its_slots_has_no_part_of_the_rate(pool: asyncpg.Pool) -> None:
    """What a dead owner wanted is what its successor wants."""
    await own(pool, 3, 1)
    await demands(pool, ME, 30.0)
    assert await demands(pool, OTHER, 7.0) == {ME: 30.0, OTHER: 7.0}
    await pool.execute("update slot set owner = $1 where slot = 3", OTHER)
    assert await demands(pool, OTHER, 37.0) == {OTHER: 37.0}


async def test_the_demand_of_one_number_is_no_part_of_anothers(pool: asyncpg.Pool) -> None:
    await own(pool, 3, 1)
    await demands(pool, ME, 30.0)
    assert await demands(pool, OTHER, 7.0, number=2) == {OTHER: 7.0}
    assert await demands(pool, ME, 5.0, number=2) == {ME: 5.0}
    assert await demands(pool, OTHER, 8.0) == {ME: 30.0, OTHER: 8.0}


async def test_each_number_has_its_level_and_each_account_its_templates(
    pool: asyncpg.Pool,
) -> None:
    await own(pool, 3, 1)
    await describe(pool.fetch, 1, 80, {"name": "one"})
    await describe(pool.fetch, 2, 1000, {"name": "two"})
    await describe(pool.fetch, 1, 250, {})
    await hold_back(pool.fetch, OF[1].waba_id, "promo")
    await hold_back(pool.fetch, OF[1].waba_id, "promo")
    found = {n: await share(pool.fetch, ME, of, 1.0, b"token") for n, of in OF.items()}
    assert {n: each.level for n, each in found.items()} == {1: 250, 2: 1000, 3: None}
    assert {n: list(each.held) for n, each in found.items()} == {1: ["promo"], 2: ["promo"], 3: []}
    for number, name in ((1, "one"), (2, "two")):
        sql = "select facts ->> 'name' from cloud_number where number = $1"
        assert await pool.fetchval(sql, number) == name


async def stops(pool: asyncpg.Pool, asks: UUID, token: bytes, number: int = 1) -> Stop | None:
    return (await share(pool.fetch, asks, OF[number], 1.0, token)).stop


async def test_a_stop_is_of_the_token_that_was_refused(pool: asyncpg.Pool) -> None:
    await own(pool, 3, 1)
    dead = Stop(190, "expired", b"old")
    assert (await stops(pool, ME, b"old"), await stops(pool, OTHER, b"new")) == (None, None)
    assert await stop(pool.fetch, 1, dead)
    assert not await stop(pool.fetch, 1, dead), "it is no news"
    assert (await stops(pool, ME, b"old"), await stops(pool, OTHER, b"new")) == (dead, None)
    await resume(pool.fetch, 1, b"new")
    assert await stops(pool, ME, b"old") == dead, "success with another token says nothing of it"
    await resume(pool.fetch, 1, b"old")
    assert await stops(pool, ME, b"old") is None


async def test_a_stop_ends_with_the_last_owner_of_its_token(pool: asyncpg.Pool) -> None:
    await own(pool, 3, 1)
    await stops(pool, ME, b"old")
    await stop(pool.fetch, 1, Stop(190, "expired", b"old"))
    await stops(pool, OTHER, b"new")
    assert await pool.fetchval("select count(*) from cloud_pause") == 1
    assert await stops(pool, ME, b"new") is None
    await stops(pool, OTHER, b"new")
    assert await pool.fetchval("select count(*) from cloud_pause") == 1, "it may be a new token's"
    await pool.execute("update cloud_pause set at = at - interval '10 s'")
    await stops(pool, OTHER, b"new")
    assert await pool.fetchval("select count(*) from cloud_pause") == 0


async def test_a_stop_of_one_number_leaves_those_with_its_token(pool: asyncpg.Pool) -> None:
    """Several numbers may share a token, and Meta refuses it for one of them."""
    await own(pool, 3, 1)
    first, second = Stop(131031, "locked", b"token"), Stop(190, "expired", b"token")
    assert await stop(pool.fetch, 1, first)
    assert await stops(pool, ME, b"token", 2) is None
    assert await stop(pool.fetch, 2, second), "it is news of this number"
    assert await stops(pool, ME, b"token") == first
    await resume(pool.fetch, 1, b"token")
    assert await stops(pool, ME, b"token") is None
    assert await stops(pool, ME, b"token", 2) == second


async def test_a_stop_ends_though_its_token_is_anothers(pool: asyncpg.Pool) -> None:
    """An owner that has the token for another number does not ask whether this one is well."""
    await own(pool, 3, 1)
    await stop(pool.fetch, 1, Stop(190, "expired", b"old"))
    await pool.execute("update cloud_pause set at = at - interval '10 s'")
    await stops(pool, ME, b"old", 2)
    await stops(pool, ME, b"new", 2)
    assert await pool.fetchval("select count(*) from cloud_pause") == 1, "another number's token"
    await stops(pool, OTHER, b"old", 2)
    await stops(pool, ME, b"new")
    assert await pool.fetchval("select count(*) from cloud_pause") == 0


async def test_an_owner_has_a_token_for_each_number(pool: asyncpg.Pool) -> None:
    """What it has for another number ends no stop of this one."""
    await own(pool, 3, 1)
    await stops(pool, ME, b"old")
    await stop(pool.fetch, 1, Stop(190, "expired", b"old"))
    await pool.execute("update cloud_pause set at = at - interval '10 s'")
    await stops(pool, ME, b"new", 2)
    await stops(pool, OTHER, b"new")
    assert await pool.fetchval("select count(*) from cloud_pause") == 1

"""Leading by lock and term on a real PostgreSQL: who may write, and who may not any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from warouter.cluster.plan import Succession, Takeover
from warouter.config import Settings
from warouter.errors import ChangeRefused, FencedError
from warouter.store.election import LeaderSession
from warouter.store.nodes import (
    ask_for_shards,
    read_map,
    shard_request_state,
    withdraw_shard_request,
)

ME, RIVAL, NODE, HEIR = (uuid4() for _ in range(4))


@pytest_asyncio.fixture
async def leader(settings: Settings) -> AsyncIterator[LeaderSession]:
    session = LeaderSession(settings, ME, "leader")
    yield session
    await session.close()


@pytest_asyncio.fixture
async def rival(settings: Settings) -> AsyncIterator[LeaderSession]:
    session = LeaderSession(settings, RIVAL, "rival")
    yield session
    await session.close()


def takeover(slot: int, epoch: int, to: UUID = NODE) -> Takeover:
    return Takeover(slot, epoch, to, None, "unowned")


async def test_one_holds_the_lock_and_a_lost_session_frees_it(
    leader: LeaderSession, rival: LeaderSession
) -> None:
    assert await leader.try_lock()
    assert not await rival.try_lock()
    leader.terminate()
    won = False
    while not won:
        won = await rival.try_lock()


async def test_a_frozen_holder_is_deposed(leader: LeaderSession, rival: LeaderSession) -> None:
    """It would keep its session, and so the lock, for ever: who finds it dead ends its backend."""
    assert await leader.try_lock()
    await rival.depose_holder()
    won = False
    while not won:
        won = await rival.try_lock()


async def test_a_term_grows_and_fences_what_the_last_leader_writes(
    leader: LeaderSession, rival: LeaderSession, pool: asyncpg.Pool
) -> None:
    old = await leader.win()
    new = await rival.win()
    assert new > old
    with pytest.raises(FencedError, match="stale term"):
        await leader.take_over(old, [takeover(0, 0)], [0])
    assert (await read_map(pool)).slots[0].owner is None
    await rival.take_over(new, [takeover(0, 0)], [0])
    assert (await read_map(pool)).slots[0].owner == NODE


async def test_a_takeover_leaves_a_slot_alone_whose_epoch_has_moved(
    leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    term = await leader.win()
    await leader.take_over(term, [takeover(0, 0), takeover(1, 77)], [0, 0])
    current = await read_map(pool)
    assert [current.slots[n].owner for n in (0, 1)] == [NODE, None]
    logged = await pool.fetch("select slot, to_incarnation, term, reason from owner_log")
    assert [tuple(r) for r in logged] == [(0, NODE, term, "unowned")]


async def test_numbers_carry_the_timeline(leader: LeaderSession, pool: asyncpg.Pool) -> None:
    term = await leader.win()
    await leader.take_over(term, [takeover(0, 0)], [0])
    timeline = (await leader.look()).server[1]
    assert term >> 32 == timeline
    assert (await read_map(pool)).slots[0].epoch >> 32 == timeline


async def test_after_a_change_of_timeline_no_epoch_is_handed_out_twice(
    leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    term = await leader.win()
    await pool.execute("update slot set owner = $1, epoch = 42 where slot = 3", NODE)
    await leader.raise_epochs(term)
    current = (await read_map(pool)).slots[3]
    assert current.owner == NODE
    assert current.epoch > 1 << 32
    await leader.raise_epochs(term)  # once is enough
    assert (await read_map(pool)).slots[3] == current


async def test_shards_and_successors_are_set_in_one_step(
    leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    term = await leader.win()
    await leader.take_over(term, [takeover(n, 0) for n in range(32)], [0] * 32)
    owned = await read_map(pool)
    asked = await ask_for_shards(pool, 2)
    picture = await leader.look()
    assert picture.request is not None
    assert (picture.request.id, picture.request.shards) == (asked, 2)
    moves = [Succession(n, owned.slots[n].epoch, HEIR) for n in range(1, 32, 2)]
    assert await leader.begin_request(term, moves, picture.request)
    now = await read_map(pool)
    assert now.shards == 2
    assert [s.successor for s in now.slots] == [None, HEIR] * 16
    assert await shard_request_state(pool, asked) == ("running", "")
    assert not await withdraw_shard_request(pool, asked)
    await leader.end_request(term, asked, "done", "")
    assert await shard_request_state(pool, asked) == ("done", "")


async def test_one_change_of_shards_at_a_time(pool: asyncpg.Pool) -> None:
    first = await ask_for_shards(pool, 2)
    with pytest.raises(ChangeRefused, match="under way"):
        await ask_for_shards(pool, 4)
    assert await withdraw_shard_request(pool, first)
    await ask_for_shards(pool, 4)


async def test_a_request_that_was_given_up_is_dead_for_whoever_saw_it_before(
    leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    """Its caller was told 403: not even a leader of an older build may still begin it."""
    term = await leader.win()
    await leader.take_over(term, [takeover(n, 0) for n in range(32)], [0] * 32)
    asked = await ask_for_shards(pool, 2)
    before = await read_map(pool)
    move = Succession(1, before.slots[1].epoch, HEIR)
    seen = (await leader.look()).request
    assert seen is not None
    assert await withdraw_shard_request(pool, asked)
    await pool.execute(
        "select name_successors($1,$2,$3,$4,$5,array['rebalance'],$6,$7)",
        *(term, ME, [1], [move.seen_epoch], [HEIR], asked, 2),
    )
    assert await read_map(pool) == before
    assert not await leader.begin_request(term, [move], seen)
    assert await read_map(pool) == before
    assert await pool.fetchval("select count(why) from slot") == 0


async def test_who_gives_up_while_a_leader_begins_is_the_second(
    leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    term = await leader.win()
    asked = await ask_for_shards(pool, 2)
    async with pool.acquire() as other, other.transaction():
        await other.execute(
            "select name_successors($1,$2,'{}','{}','{}','{}'::text[],$3,2)", term, ME, asked
        )
        giving_up = asyncio.create_task(withdraw_shard_request(pool, asked))
        await blocked(pool)
    assert not await giving_up
    assert (await read_map(pool)).shards == 2


@pytest.mark.parametrize("ago", ["1 hour", "-1 hour"])
async def test_a_request_whose_webapp_is_gone_is_not_begun_later(
    leader: LeaderSession, pool: asyncpg.Pool, ago: str
) -> None:
    """Also when the database's clock went back meanwhile."""
    term = await leader.win()
    asked = await ask_for_shards(pool, 2)
    await pool.execute("update shard_request set requested_at = now() - $1::text::interval", ago)
    seen = (await leader.look()).request
    assert seen is not None
    await pool.execute(
        "select name_successors($1,$2,'{}','{}','{}','{}'::text[],$3,2)", term, ME, asked
    )
    assert (await read_map(pool)).shards == 1
    assert await shard_request_state(pool, asked) == ("refused", "nobody waits for it any more")
    await ask_for_shards(pool, 4)


async def blocked(pool: asyncpg.Pool) -> None:
    """Until a session waits for another's row."""
    waits = "select exists (select from pg_stat_activity where wait_event_type = 'Lock')"
    waiting = False
    while not waiting:
        waiting = await pool.fetchval(waits)

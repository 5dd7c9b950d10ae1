"""Leading by lock and term on a real PostgreSQL: who may write, and who may not any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import product
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.campaigns.simulation.owners import TROUBLES
from tests.harness.owned import Slots, ended
from tests.harness.postgres import until
from tests.harness.wait import soon
from tests.integration.conftest import Join
from warouter.cluster.plan import Succession, Takeover, onto_timeline
from warouter.config import Settings, Timing
from warouter.errors import ChangeRefused
from warouter.owner.beats import Beats
from warouter.owner.writable import Writable
from warouter.store import locks
from warouter.store.database import application_name, connect
from warouter.store.election import LeaderSession
from warouter.store.journal import Journal
from warouter.store.nodes import ask_for_shards, read_map, withdraw_shard_request

# A session waits for another's row.
BLOCKED = "select exists (select from pg_stat_activity where wait_event_type = 'Lock')"
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


@pytest.mark.parametrize("frozen", [False, True], ids=["lost session", "frozen"])
async def test_one_holds_the_lock_until_its_session_ends(
    settings: Settings, rival: LeaderSession, frozen: bool
) -> None:
    """A frozen one would keep its session for ever: who finds it dead ends its backend."""
    leader = LeaderSession(settings, ME, application_name(ME, "master"))  # others are not ended
    assert await leader.try_lock()
    assert not await rival.try_lock()
    if frozen:
        await rival.depose_holder([ME])  # it lives, and may be about to win
        assert not await rival.try_lock()
        await rival.depose_holder([RIVAL])
    else:
        leader.terminate()
    while not await rival.try_lock():
        pass
    await leader.close()


async def test_a_contender_takes_the_lock_and_sees_what_followers_judge_by(
    leader: LeaderSession, rival: LeaderSession, join: Join
) -> None:
    session = join("coreapp", NODE)
    await session.beat(True, 5.0, [HEIR])
    seen, locked = await rival.contend()
    assert locked
    assert not (await leader.contend())[1]
    assert not await leader.try_lock()
    session.terminate()
    full = await leader.look()
    assert (seen.map, seen.term, seen.leader, seen.nodes, seen.server) == (
        *(full.map, full.term, full.leader, full.nodes, full.server),
    )
    assert seen.nodes[NODE].unreached == {HEIR}
    assert seen.sessions == {NODE}  # of sessions it says nothing


async def test_a_map_is_read_again_when_its_version_or_its_server_is_another(
    leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    async def epoch() -> int:
        return (await leader.look()).map.slots[3].epoch

    assert await epoch() == 0
    await pool.execute("update slot set epoch = 1 where slot = 3")
    assert await epoch() == 0  # nobody writes a slot without a new version
    await pool.execute("update shard_map set version = version + 1")
    assert await epoch() == 1
    await pool.execute("update slot set epoch = 2 where slot = 3")
    assert leader._map_found is not None
    leader._map_found = (*leader._map_found[:2], "the primary that this one's standby was")
    assert await epoch() == 2


async def test_sessions_of_others_may_have_names_like_ours(
    leader: LeaderSession, settings: Settings, join: Join
) -> None:
    nodes = [join("coreapp", incarnation) for incarnation in (NODE, RIVAL)]
    for node in nodes:
        await node.beat(True, 5.0)
        node.terminate()
    names = [f"wa:{NODE.hex}:one", f"wa:{NODE.hex}:two", "wa:psql"]
    sessions = [await connect(settings, name) for name in names]
    await soon(lambda: _sees(leader, {NODE}))
    for session in sessions:
        session.terminate()
    await soon(lambda: _sees(leader, set()))


async def test_a_process_gets_a_taken_lock_of_the_living_with_its_next_beat(
    settings: Settings, pool: asyncpg.Pool, join: Join
) -> None:
    """A leader that looks has it for a moment: whoever connects then must not seem silent."""
    session, looking = join("coreapp", NODE), await connect(settings, "looking")
    alive = locks.ALIVE, NODE.hex
    await looking.execute("select pg_advisory_lock_shared($1, hashtext($2))", *alive)
    await session.beat(True, 1.0)
    await looking.close()
    await until(pool, "select not exists (select from pg_locks where classid = $1)", locks.ALIVE)
    await session.beat(True, 1.0)
    assert await pool.fetchval("select count(*) from pg_locks where classid = $1", locks.ALIVE) == 1


async def test_a_node_that_ends_is_missed_by_the_next_look(
    leader: LeaderSession, join: Join
) -> None:
    """As long as all sessions that beat are there no other is looked for."""
    nodes = {inc: join("coreapp", inc) for inc in (NODE, RIVAL)}
    for node in nodes.values():
        await node.beat(True, 5.0)
    assert (await leader.look()).sessions == {NODE, RIVAL}
    nodes[NODE].terminate()
    await soon(lambda: _sees(leader, {RIVAL}))
    await nodes[NODE].beat(True, 5.0)
    assert (await leader.look()).sessions == {NODE, RIVAL}


async def test_a_poll_that_is_a_beat_counts_as_one(
    pool: asyncpg.Pool, leader: LeaderSession, join: Join
) -> None:
    counter = "select counter from beat where incarnation = $1"
    assert not (await leader.look(beat=True)).beaten  # not registered
    session = join("master", ME)
    await session.beat(True, 5.0)
    before = await pool.fetchval(counter, ME)
    assert (await leader.look(beat=True)).beaten
    assert (await leader.contend(beat=True))[0].beaten
    assert not (await leader.look()).beaten
    assert await pool.fetchval(counter, ME) == before + 2


async def _sees(leader: LeaderSession, incarnations: set[UUID]) -> bool:
    return (await leader.look()).sessions == incarnations


async def test_numbers_carry_the_timeline(leader: LeaderSession, pool: asyncpg.Pool) -> None:
    term = await leader.win()
    await leader.take_over(term, [takeover(0, 0)], [0])
    timeline = (await leader.look()).server[1]
    assert term >> 32 == timeline
    assert (await read_map(pool)).slots[0].epoch >> 32 == timeline


@pytest.mark.parametrize("leaving", [False, True])
async def test_after_a_change_of_timeline_no_epoch_is_handed_out_twice(
    leader: LeaderSession, pool: asyncpg.Pool, join: Join, leaving: bool
) -> None:
    term = await leader.win()
    owner = join("coreapp", NODE)
    await owner.beat(True, 5.0)
    await pool.execute("update node set leaving = $1", leaving)
    await pool.execute("update slot set owner = $1, epoch = 42 where slot = 3", NODE)
    picture = await leader.look()
    old = onto_timeline(picture.map, picture.server[1])
    await leader.take_over(term, old, [0] * len(old))
    picture = await leader.look()
    current = picture.map.slots[3]
    assert current.owner == NODE
    assert current.epoch > 1 << 32
    assert onto_timeline(picture.map, picture.server[1]) == []  # once is enough
    await leader.take_over(term, old, [0] * len(old))  # the picture is an old one
    assert (await read_map(pool)).slots[3] == current
    row = await pool.fetchrow("select unsure, moving from slot where slot = 3")
    assert tuple(row) == (True, 0)


@pytest.mark.parametrize("how", ["renewed", "handed over", "released", "taken over"])
async def test_a_change_of_owner_across_a_timeline_makes_the_slot_unsure(
    leader: LeaderSession, settings: Settings, pool: asyncpg.Pool, how: str
) -> None:
    """An owner renews its epoch right after a promotion, before any leader has seen it."""
    term, journal = await leader.win(), Journal(settings, NODE, "owner")

    async def change(epoch: int) -> bool:
        await pool.execute(
            "update slot set owner = $1, successor = $2, epoch = $3 where slot = 3",
            *(NODE, HEIR if how == "handed over" else None, epoch),
        )
        if how == "renewed":
            assert await journal.renew([3], [0])
        elif how == "handed over":
            assert await journal.hand_over({3: epoch}) == {3}
        elif how == "released":
            assert await journal.release({3: epoch}) == {3}
        else:
            await leader.take_over(term, [takeover(3, epoch, HEIR)], [0])
        unsure: bool = await pool.fetchval("select unsure from slot where slot = 3")
        return unsure

    try:
        assert not await change(1 << 32)
        assert await change(42)
        assert await change(1 << 32)  # until an owner has said what may be out
    finally:
        await journal.close()


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


async def test_a_caller_that_gives_up_while_a_leader_begins_comes_second(
    leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    term = await leader.win()
    asked = await ask_for_shards(pool, 2)
    async with pool.acquire() as other, other.transaction():
        await other.execute(
            "select name_successors($1,$2,'{}','{}','{}','{}'::text[],$3,2)", term, ME, asked
        )
        giving_up = asyncio.create_task(withdraw_shard_request(pool, asked))
        await until(pool, BLOCKED)
    assert not await giving_up
    assert (await read_map(pool)).shards == 2


async def test_a_slot_that_left_a_troubled_owner_rests_for_a_minute(
    leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    """Also when the clock of the database has gone back meanwhile."""
    log = "insert into owner_log (slot, epoch, reason, at) values ($1, 1, $2, now() + $3::interval)"
    ages = (timedelta(), -timedelta(seconds=61), timedelta(seconds=90))
    for slot, (reason, age) in enumerate(product(sorted(TROUBLES), ages)):
        await pool.execute(log, slot, reason, age)
    assert await leader.moved_lately() == {n * len(ages) for n in range(len(TROUBLES))}


async def test_a_beat_says_what_its_process_lacks(leader: LeaderSession, join: Join) -> None:
    session = join("webapp", RIVAL)
    for upstream_ok, journal_ok in ((False, True), (True, False), (True, True)):
        await session.beat(upstream_ok, 1.0, [NODE], journal_ok)
        node = (await leader.look()).nodes[RIVAL]
        assert (node.upstream_ok, node.journal_ok) == (upstream_ok, journal_ok)
        assert NODE in node.unreached


async def test_each_beat_tells_what_others_have_changed(pool: asyncpg.Pool, join: Join) -> None:
    for role, incarnation in (("webapp", RIVAL), ("coreapp", NODE)):
        session = join(role, incarnation)
        before = await session.beat(True, 5.0)
        await pool.execute("update shard_map set version = version + 1")
        await pool.execute("update change set version = version + 10 where what = 'auth'")
        await pool.execute("update change set version = version + 100 where what = 'settings'")
        after = await session.beat(True, 5.0)
        grown = (
            after.map_version - before.map_version,
            after.auth_version - before.auth_version,
            after.settings_version - before.settings_version,
        )
        assert grown == (1, 10, 100)


async def test_a_spare_that_stops_is_no_heir_and_no_crash(
    settings: Settings, leader: LeaderSession, join: Join
) -> None:
    """It says so, although it owns nothing."""
    slots = Slots(settings, journal=Journal(settings, NODE, "spare"))
    session = join("coreapp", NODE)
    await session.beat(True, 5.0)
    owner = (slots.ownership, slots.moves, slots.upstream, Writable(slots.journal))
    await Beats(session, *owner, Timing(), slots.now).leave()
    assert (await leader.look()).nodes[NODE].leaving
    await slots.journal.close()


async def test_a_leaving_coreapp_gets_no_slot(
    settings: Settings, leader: LeaderSession, pool: asyncpg.Pool, join: Join
) -> None:
    """The leader's picture is a little older; it learns so with its next look."""
    term, spare = await leader.win(), join("coreapp", HEIR)
    await leader.take_over(term, [takeover(3, 0)], [0])
    epoch = (await read_map(pool)).slots[3].epoch
    journal = Journal(settings, HEIR, "spare")
    await spare.beat(True, 5.0)
    await journal.say_leaving()
    assert not await journal.expects_slots()
    await leader.name_successors(term, [Succession(3, epoch, HEIR, "handover")])
    await leader.take_over(term, [Takeover(4, 0, HEIR, None, "unowned")], [0])
    slots = (await read_map(pool)).slots
    assert (slots[3].successor, slots[4].owner) == (None, None)
    await journal.close()


async def test_a_coreapp_beats_on_while_its_farewell_waits(
    settings: Settings, pool: asyncpg.Pool, join: Join
) -> None:
    """A leader's lock, or a disk, may hold it up for longer than a lease."""
    slots = Slots(settings, journal=Journal(settings, NODE, "spare"))
    spare = join("coreapp", NODE)
    parts = slots.ownership, slots.moves, slots.upstream, Writable(slots.journal)
    beats = Beats(spare, *parts, Timing(), slots.now)
    works = asyncio.create_task(beats.run())
    await spare.registered.wait()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("select from node where incarnation = $1 for share", NODE)
        leaves = asyncio.create_task(beats.leave())
        await until(pool, BLOCKED)
        counter = await pool.fetchval("select counter from beat where incarnation = $1", NODE)
        await until(pool, f"select counter > {counter + 1} from beat where incarnation = '{NODE}'")
    await leaves
    await ended([works])
    await slots.journal.close()


@pytest.mark.parametrize("taken", [False, True], ids=["named", "given"])
async def test_a_coreapp_that_is_named_as_it_leaves_learns_of_it(
    settings: Settings, leader: LeaderSession, pool: asyncpg.Pool, taken: bool, join: Join
) -> None:
    """Whatever a leader has begun to write comes before its word, and is seen after it."""
    term, spare = await leader.win(), join("coreapp", HEIR)
    await leader.take_over(term, [takeover(3, 0)], [0])
    epoch = (await read_map(pool)).slots[3].epoch
    journal = Journal(settings, HEIR, "spare")
    await spare.beat(True, 5.0)
    call = (
        ("select take_over($1,$2,$3,$4,$5,$6,$7)", [4], [0], [HEIR], ["unowned"], [0])
        if taken
        else (
            "select name_successors($1,$2,$3,$4,$5,$6,$7,$8)",
            *([3], [epoch], [HEIR], ["handover"], None, None),
        )
    )
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute(call[0], term, ME, *call[1:])
            leaves = asyncio.create_task(journal.say_leaving())
            await until(pool, BLOCKED)
        await leaves
    assert await journal.expects_slots()
    await journal.close()


async def test_a_named_successor_stays_until_it_has_handed_on(
    settings: Settings, leader: LeaderSession, pool: asyncpg.Pool, join: Join
) -> None:
    """Its predecessor stops too, as when their machine goes: nobody finds a dead owner."""
    term, third = await leader.win(), join("coreapp", RIVAL)
    slots = Slots(settings, journal=Journal(settings, HEIR, "spare"))
    spare = join("coreapp", HEIR)
    await leader.take_over(term, [takeover(3, 0)], [0])
    epoch = (await read_map(pool)).slots[3].epoch
    await third.beat(True, 5.0)
    await spare.beat(True, 5.0)
    await leader.name_successors(term, [Succession(3, epoch, HEIR, "handover")])
    parts = slots.ownership, slots.moves, slots.upstream, Writable(slots.journal)
    beats = Beats(spare, *parts, Timing(), slots.now)
    works, leaves = asyncio.create_task(beats.run()), asyncio.create_task(beats.leave())
    await until(pool, f"select leaving from node where incarnation = '{HEIR}'")

    former = Journal(settings, NODE, "former")
    assert await former.hand_over({3: epoch}) == {3}
    epoch = (await read_map(pool)).slots[3].epoch
    await leader.name_successors(term, [Succession(3, epoch, RIVAL, "handover")])
    await leaves
    assert (await read_map(pool)).slots[3].owner == RIVAL
    await ended([works])
    for part in (former, slots.journal):
        await part.close()

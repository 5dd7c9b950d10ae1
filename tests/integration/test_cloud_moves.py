"""With the Cloud API a planned move waits until no request is out: leader, database and owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from msgspec.structs import replace

from tests.harness.owned import EPOCH, ME, Granting, Slots, ended, owning, session_of
from tests.harness.postgres import PATIENT, until
from tests.harness.wait import PATIENCE, soon
from tests.integration.conftest import Join
from warouter.cluster import quiesce
from warouter.cluster.plan import MovingMark, Succession, Takeover
from warouter.config import Settings, Timing
from warouter.errors import ChangeRefused
from warouter.node import mapview
from warouter.node.mapview import MapView
from warouter.node.master import Master
from warouter.owner.beats import Beats
from warouter.owner.writable import Writable
from warouter.store.beats import Beat, NodeSession
from warouter.store.database import connect
from warouter.store.election import LeaderSession
from warouter.store.journal import Journal
from warouter.store.nodes import (
    ask_for_shards,
    read_map,
    read_nodes,
    shard_request_state,
    withdraw_shard_request,
)
from warouter.store.upstream import choose_upstream
from warouter.systemd import Notifier
from warouter.upstream.protocol import Answer

NUMBER = "105954558954427"
CLOUD = f"cloud:{NUMBER}"
LEADER, OWNER, HEIR = (uuid4() for _ in range(3))
MOVING = "select moving from slot where slot = 3"


@pytest_asyncio.fixture
async def cloud(settings: Settings) -> Settings:
    """Of a process that is set to the Cloud API, on a database that has it."""
    connection = await connect(settings, "test")
    await choose_upstream(connection, CLOUD)
    await connection.close()
    return replace(settings, upstream="cloud", cloud_phone_number_id=NUMBER)


@pytest_asyncio.fixture
async def leader(cloud: Settings) -> AsyncIterator[LeaderSession]:
    session = LeaderSession(cloud, LEADER, "leader")
    yield session
    await session.close()


@pytest_asyncio.fixture
async def owner(cloud: Settings) -> AsyncIterator[Journal]:
    journal = Journal(cloud, OWNER, "owner")
    yield journal
    await journal.close()


async def given(leader: LeaderSession, *slots: int) -> tuple[int, dict[int, int]]:
    """The term, and the epochs under which the owner has the slots."""
    term = await leader.win()
    await leader.take_over(
        term, [Takeover(n, 0, OWNER, None, "unowned") for n in slots], [0] * len(slots)
    )
    owned = (await leader.look()).map.slots
    return term, {n: owned[n].epoch for n in slots}


async def marked(leader: LeaderSession, *slots: int) -> tuple[int, dict[int, int]]:
    term, epochs = await given(leader, *slots)
    await leader.mark_slots(term, [MovingMark(n, epoch, 1) for n, epoch in epochs.items()])
    return term, epochs


async def moving(leader: LeaderSession, slot: int = 3) -> int:
    return (await leader.look()).map.slots[slot].moving


async def test_the_owner_is_told_and_the_leader_hears_when_no_request_is_out(
    leader: LeaderSession, owner: Journal, cloud: Settings, join: Join
) -> None:
    session = join("coreapp", OWNER, cloud)
    assert (await session.beat(True, 5.0)).moving == frozenset()
    term, epochs = await marked(leader, 3, 5)
    beat = await session.beat(True, 5.0)
    assert (beat.moving, beat.renewed) == ({3, 5}, epochs)  # still renewed
    assert await owner.quiet({3: epochs[3]}) == {3}
    assert (await moving(leader, 3), await moving(leader, 5)) == (2, 1)
    assert (await session.beat(True, 5.0)).moving == {3, 5}  # quiet it stays
    assert await owner.quiet(epochs) == {5}
    await leader.mark_slots(term, [MovingMark(n, epoch, 0) for n, epoch in epochs.items()])
    assert (await moving(leader, 3), await moving(leader, 5)) == (0, 0)
    assert (await session.beat(True, 5.0)).moving == frozenset()
    assert await owner.quiet(epochs) == set()


async def test_a_former_owner_cannot_say_that_a_slot_is_quiet(
    leader: LeaderSession, owner: Journal, cloud: Settings
) -> None:
    _, epochs = await marked(leader, 3)
    assert await owner.quiet({3: epochs[3] - 1}) == set()
    other = Journal(cloud, HEIR, "other")
    assert await other.quiet(epochs) == set()
    await other.close()
    assert await moving(leader) == 1


async def test_a_leader_that_saw_an_older_epoch_marks_nothing(
    leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    term, epochs = await given(leader, 3)
    await leader.mark_slots(term, [MovingMark(3, epochs[3] - 1, 1)])
    assert await moving(leader) == 0
    await leader.name_successors(term, [Succession(3, epochs[3], HEIR)])
    await leader.mark_slots(term, [MovingMark(3, epochs[3], 1)])
    assert await moving(leader) == 0
    await pool.execute("update term set term = term + 1")
    with pytest.raises(Exception, match="stale term"):
        await leader.mark_slots(term, [MovingMark(3, epochs[3], 1)])


async def test_a_mark_is_never_set_back_to_not_quiet_yet(
    leader: LeaderSession, owner: Journal
) -> None:
    """Two leaders after each other may both write it."""
    term, epochs = await marked(leader, 3)
    await owner.quiet(epochs)
    await leader.mark_slots(term, [MovingMark(3, epochs[3], 1)])
    assert await moving(leader) == 2


async def test_a_renewal_keeps_the_mark_but_what_was_said_is_to_be_said_anew(
    leader: LeaderSession, owner: Journal
) -> None:
    _, epochs = await marked(leader, 3)
    await owner.quiet(epochs)
    renewed = await owner.renew([3], [0])
    assert renewed[3] > epochs[3]
    assert await moving(leader) == 1
    assert await owner.quiet(epochs) == set()
    assert await owner.quiet(renewed) == {3}


@pytest.mark.parametrize("how", ["handed over", "taken over", "released"])
async def test_a_new_owner_begins_without_a_mark(
    leader: LeaderSession, owner: Journal, how: str
) -> None:
    term, epochs = await marked(leader, 3)
    await owner.quiet(epochs)
    if how == "handed over":
        await leader.name_successors(term, [Succession(3, epochs[3], HEIR)])
        await owner.hand_over(epochs)
    elif how == "taken over":
        await leader.take_over(term, [Takeover(3, epochs[3], HEIR, OWNER, "dead")], [0])
    else:
        await owner.release(epochs)
    slot = (await leader.look()).map.slots[3]
    assert (slot.owner, slot.moving) == (None if how == "released" else HEIR, 0)


async def test_an_owner_says_quiet_without_waiting_for_a_leader(
    leader: LeaderSession, owner: Journal, pool: asyncpg.Pool
) -> None:
    """It is said again with the next beat; each waiting for a row of the other is a deadlock."""
    _, epochs = await marked(leader, 3, 5)
    async with pool.acquire() as other, other.transaction():
        await other.execute(f"{PATIENT}; select from slot where slot = 3 for update")
        assert await owner.quiet(epochs) == {5}
    assert await owner.quiet(epochs) == {3}


# Which upstream


async def test_every_process_publishes_its_upstream(
    leader: LeaderSession, cloud: Settings, pool: asyncpg.Pool, join: Join
) -> None:
    sessions = [join("coreapp", OWNER, cloud), join("coreapp", HEIR)]
    for session in sessions:
        await session.beat(True, 5.0)
    picture = await leader.look()
    assert picture.map.upstream == CLOUD
    found = {inc: node.upstream for inc, node in picture.nodes.items()}
    assert found == {OWNER: CLOUD, HEIR: "simulator"}
    assert {node.incarnation: node.upstream for node in await read_nodes(pool)} == found


async def test_one_with_another_upstream_is_no_heir_of_who_leaves(
    cloud: Settings, join: Join
) -> None:
    former, other = join("coreapp", OWNER, cloud), join("coreapp", HEIR)
    leaving = Journal(cloud, OWNER, "leaving")
    await former.beat(True, 5.0)
    await other.beat(True, 5.0)
    assert not await leaving.say_leaving()
    heir = join("coreapp", uuid4(), cloud)
    await heir.beat(True, 5.0)
    assert await leaving.say_leaving()
    for session in (former, other, heir):
        session.terminate()
    await leaving.close()


# Requests for shards


@pytest.mark.parametrize(
    ("upstream", "age", "begins"),
    [(CLOUD, 39, True), (CLOUD, 41, False), ("simulator", 9, True), ("simulator", 11, False)],
)
async def test_a_request_waits_longer_where_slots_have_to_be_quiet(
    leader: LeaderSession, pool: asyncpg.Pool, upstream: str, age: int, begins: bool
) -> None:
    await pool.execute("update format set upstream = $1", upstream)
    term, _ = await given(leader, 3)
    await ask_for_shards(pool, 2)
    seen = (await leader.look()).request
    assert seen is not None
    by = timedelta(seconds=age)
    await pool.execute("update shard_request set requested_at = requested_at - $1::interval", by)
    assert await leader.begin_request(term, [], seen) == begins


async def test_a_caller_of_set_shards_waits_once_the_leader_has_seen_it(
    leader: LeaderSession, pool: asyncpg.Pool, cloud: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a leader it still ends soon."""
    monkeypatch.setattr(mapview, "BEGIN_SECONDS", 0.05)
    view = MapView(cloud, Timing(), pool, f"wa:{uuid4().hex}:w")
    with pytest.raises(ChangeRefused, match="no master leads"):
        await view.set_shards(2)
    monkeypatch.setattr(mapview, "BEGIN_SECONDS", 60.0)
    term, _ = await given(leader, 3)
    asking = asyncio.create_task(view.set_shards(2))
    seen = await soon(lambda: _request(leader))
    assert not seen.taken_up
    await leader.mark_slots(term, [], seen.id)
    assert (await _request(leader)).taken_up
    looks: list[str] = []

    async def state(*asked: Any) -> tuple[str, str]:
        found = await shard_request_state(*asked)
        looks.append(found[0])
        return found

    monkeypatch.setattr(mapview, "shard_request_state", state)
    monkeypatch.setattr(mapview, "BEGIN_SECONDS", 0.0)
    await soon(lambda: len(looks) > 2)
    assert set(looks) == {"waiting"}
    assert await leader.begin_request(term, [], seen)
    await leader.end_request(term, seen.id, "done", "")
    await asking
    assert not await withdraw_shard_request(pool, seen.id)


async def _request(leader: LeaderSession) -> Any:
    return (await leader.look()).request


# A whole owner


def told(*moving: int) -> Beat:
    return Beat({3: EPOCH}, {}, 1, 1, 1, frozenset(moving))


@asynccontextmanager
async def quiescing(
    settings: Settings, pool: asyncpg.Pool, upstream: Granting
) -> AsyncIterator[Slots]:
    await pool.execute("update slot set owner = $1, epoch = $2 where slot = 3", ME, EPOCH)
    async with owning(settings, upstream) as slots:
        telling = asyncio.create_task(slots.quiesce.run())
        try:
            yield slots
        finally:
            await ended([telling])


def answers(slots: Slots, upstream: Granting) -> None:
    slots.hearing.on_upstream([Answer(3, message.id) for message in upstream.sent])


async def test_a_slot_that_moves_accepts_begins_nothing_and_is_quiet_when_nothing_is_out(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    upstream = Granting(answers=False)
    async with quiescing(settings, pool, upstream) as slots:
        slots.offer(3)
        await soon(lambda: upstream.sent)
        await pool.execute("update slot set moving = 1 where slot = 3")
        slots.quiesce.beaten(told(3))
        slots.offer_to(3, "4915112345679")
        await soon(lambda: len(slots.outcomes) == 2)  # on disk, and acknowledged
        slots.quiesce.beaten(told(3))
        slots.sender.pump_all()
        assert len(upstream.sent) == 1
        assert await pool.fetchval(MOVING) == 1
        answers(slots, upstream)
        await until(pool, f"{MOVING} and moving = 2")
        settled = "select mark from send_cursor where slot = 3"
        assert await pool.fetchval(settled) == 1  # on disk before it was said
        assert len(upstream.sent) == 1
        slots.quiesce.beaten(told())
        slots.sender.beaten(told())
        await soon(lambda: len(upstream.sent) == 2)


async def test_a_slot_that_opens_while_it_is_to_move_begins_nothing(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """A renewal in the middle of a move: what is out under the old epoch is still waited for."""
    upstream = Granting(answers=False)
    async with quiescing(settings, pool, upstream) as slots:
        slots.quiesce.beaten(told(3))
        slots.ownership.doubt({3: EPOCH}, "test")
        await pool.execute("update slot set moving = 1 where slot = 3")
        await slots.moves.open({3: EPOCH})
        slots.offer(3)
        await soon(lambda: slots.outcomes)
        slots.sender.pump_all()
        assert (slots.ownership.slots[3].quiet, upstream.sent) == (True, [])


async def test_a_stop_waits_for_open_requests_also_without_an_heir(
    cloud: Settings, settings: Settings, pool: asyncpg.Pool, join: Join
) -> None:
    upstream = Granting(answers=False)
    async with quiescing(settings, pool, upstream) as slots:
        slots.moves._timing = Timing(drain=0.0)
        slots.offer(3)
        await soon(lambda: upstream.sent)
        session = join("coreapp", ME, cloud)
        await session.beat(True, 5.0)
        beats = leaving(session, slots)
        stops = asyncio.create_task(beats.leave())
        await until(pool, "select leaving from node where incarnation = $1", ME)
        slots.offer_to(3, "4915112345679")
        await soon(lambda: len(slots.outcomes) == 2)
        assert await pool.fetchval("select owner from slot where slot = 3") == ME
        assert len(upstream.sent) == 1
        answers(slots, upstream)
        await stops
        assert await pool.fetchval("select owner from slot where slot = 3") is None
        assert await pool.fetchval("select mark from send_cursor where slot = 3") == 1
        assert len(upstream.sent) == 1
        session.terminate()


def leaving(session: NodeSession, slots: Slots) -> Beats:
    parts = slots.ownership, slots.moves, slots.upstream, Writable(slots.journal)
    return Beats(session, *parts, Timing(), slots.now, (), slots.quiesce)


# A whole leader


class Scene:
    """A master, and coreapps that do nothing but live."""

    def __init__(self, cloud: Settings, pool: asyncpg.Pool) -> None:
        self.cloud = cloud
        self.pool = pool
        self._tasks: list[asyncio.Task[None]] = []
        self.journals: dict[UUID, Journal] = {}
        self.sessions: dict[UUID, NodeSession] = {}

    def lead(self) -> Master:
        incarnation = uuid4()
        session = LeaderSession(self.cloud, incarnation, "leader")
        node = session_of(self.cloud, "master", incarnation)
        master = Master(incarnation, self.cloud.timing, session, node, Notifier(""))
        self._tasks.append(asyncio.create_task(master.run()))
        return master

    async def live(self, incarnation: UUID) -> None:
        session = self.sessions[incarnation] = session_of(self.cloud, "coreapp", incarnation)
        self.journals[incarnation] = Journal(self.cloud, incarnation, "journal")
        await session.beat(True, 10.0)
        self._tasks.append(asyncio.create_task(self._beat(session)))

    async def _beat(self, session: NodeSession) -> None:
        while True:
            await session.beat(True, 10.0)
            await asyncio.sleep(self.cloud.beat)

    async def epochs(self, owner: UUID) -> dict[int, int]:
        slots = (await read_map(self.pool)).slots
        return {s.slot: s.epoch for s in slots if s.owner == owner}

    async def all(self, condition: str) -> None:
        await until(self.pool, f"select bool_and({condition}) from slot")

    async def end(self) -> None:
        await ended(self._tasks)
        for session in self.sessions.values():
            session.terminate()
        for journal in self.journals.values():
            await journal.close()


@pytest_asyncio.fixture
async def scene(cloud: Settings, pool: asyncpg.Pool) -> AsyncIterator[Scene]:
    scene = Scene(replace(cloud, lease=9.0), pool)  # no move is overdue here
    master = scene.lead()
    async with asyncio.timeout(PATIENCE):
        await scene.live(OWNER)
        await scene.all(f"owner = '{OWNER}'")
        await scene.live(HEIR)
        yield scene
    await scene.end()
    await master.close()


async def test_the_successor_of_a_slot_is_named_when_its_owner_says_that_it_is_quiet(
    scene: Scene,
) -> None:
    epochs = await scene.epochs(OWNER)
    assert await scene.journals[OWNER].say_leaving()
    await scene.all("moving = 1 and successor is null")
    some = {n: epochs[n] for n in range(8)}
    assert await scene.journals[OWNER].quiet(some) == {*some}
    await scene.all(f"(slot < 8) = (successor is not distinct from '{HEIR}')")
    assert await scene.journals[OWNER].hand_over(some) == {*some}
    rest = {n: epochs[n] for n in range(8, 32)}
    await scene.journals[OWNER].quiet(rest)
    await scene.all(f"slot < 8 or successor = '{HEIR}'")


async def test_an_owner_that_does_not_become_quiet_has_its_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiesce, "QUIET_SECONDS", 0.3)
    await scene.journals[OWNER].say_leaving()
    await scene.all(f"moving = 1 and successor = '{HEIR}'")


async def test_shards_are_set_once_all_slots_that_move_are_quiet(scene: Scene) -> None:
    view = MapView(scene.cloud, Timing(), scene.pool, f"wa:{uuid4().hex}:w")
    asking = asyncio.create_task(view.set_shards(2))
    await scene.all("moving = slot % 2 and successor is null")
    epochs = await scene.epochs(OWNER)
    odd = {n: epochs[n] for n in range(1, 32, 2)}
    first = odd.pop(1)
    await scene.journals[OWNER].quiet(odd)
    assert (await read_map(scene.pool)).shards == 1
    await scene.journals[OWNER].quiet({1: first})
    await scene.all(f"(slot % 2 = 1) = (successor is not distinct from '{HEIR}')")
    assert (await read_map(scene.pool)).shards == 2
    await scene.journals[OWNER].hand_over({**odd, 1: first})
    await asking


async def test_marks_of_a_change_that_was_given_up_are_taken_back(scene: Scene) -> None:
    request = await ask_for_shards(scene.pool, 2)
    await scene.all("moving = slot % 2 and successor is null")
    assert await withdraw_shard_request(scene.pool, request)
    await scene.all("moving = 0 and successor is null")

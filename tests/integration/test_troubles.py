"""What webapps report and why slots move, through a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.campaigns.simulation.tables import TROUBLES
from warouter.cluster.plan import Succession, Takeover
from warouter.config import Settings
from warouter.store.election import LeaderSession
from warouter.store.journal import Journal
from warouter.store.nodes import NodeSession, Registration, read_map

ME, OWNER, HEIR, WEBAPP = (uuid4() for _ in range(4))


@pytest_asyncio.fixture
async def leader(settings: Settings) -> AsyncIterator[LeaderSession]:
    session = LeaderSession(settings, ME, "leader")
    yield session
    await session.close()


async def owned(leader: LeaderSession, pool: asyncpg.Pool) -> tuple[int, dict[int, int]]:
    """Slots 0 to 3 belong to OWNER; the term and their epochs."""
    term = await leader.win()
    moves = [Takeover(n, 0, OWNER, None, "unowned") for n in range(4)]
    await leader.take_over(term, moves, [0] * 4)
    return term, {s.slot: s.epoch for s in (await read_map(pool)).slots[:4]}


def registration(incarnation: UUID, role: str) -> Registration:
    return Registration(
        incarnation=incarnation, name=role, role=role, host="h", port=1, version="0", pid=1
    )


async def test_a_webapp_reports_with_its_beat(settings: Settings, leader: LeaderSession) -> None:
    session = NodeSession(settings, registration(WEBAPP, "webapp"), lambda _what: None)
    await session.beat(True, 1.0, [OWNER, HEIR])
    assert (await leader.look()).nodes[WEBAPP].unreached == {OWNER, HEIR}
    await session.beat(True, 1.0)
    assert (await leader.look()).nodes[WEBAPP].unreached == frozenset()
    session.terminate()


async def test_processes_of_the_version_before_beat_on(
    pool: asyncpg.Pool, settings: Settings, leader: LeaderSession
) -> None:
    session = NodeSession(settings, registration(WEBAPP, "webapp"), lambda _what: None)
    await session.beat(True, 1.0)
    row = await pool.fetchrow("select * from beat($1, $2)", WEBAPP, False)
    assert (row["slots"], row["map_version"]) == ([], 1)
    assert not (await leader.look()).nodes[WEBAPP].upstream_ok
    row = await pool.fetchrow("select * from beat($1, $2, $3)", WEBAPP, True, [OWNER])
    assert (row["slots"], row["map_version"]) == ([], 1)
    node = (await leader.look()).nodes[WEBAPP]
    assert (node.upstream_ok, node.journal_ok) == (True, True)  # of that they say nothing
    session.terminate()


async def test_a_coreapp_says_with_its_beat_that_it_cannot_write(
    settings: Settings, leader: LeaderSession
) -> None:
    session = NodeSession(settings, registration(OWNER, "coreapp"), lambda _what: None)
    for ok in (False, True):
        await session.beat(True, 1.0, journal_ok=ok)
        assert (await leader.look()).nodes[OWNER].journal_ok == ok
    session.terminate()


@pytest.mark.parametrize("reason", sorted(TROUBLES))
async def test_a_slot_rests_whatever_the_trouble_was(
    leader: LeaderSession, pool: asyncpg.Pool, reason: str
) -> None:
    """Of an owner that could not write this was forgotten again: its slots moved all the time."""
    log = "insert into owner_log (slot, epoch, reason, at) values ($1, 1, $2, now() + $3::interval)"
    for slot, ago in enumerate((timedelta(), -timedelta(seconds=61), timedelta(seconds=90))):
        await pool.execute(log, slot, reason, ago)
    assert (await leader.look()).moved == {0}


async def test_the_owner_log_says_why_and_the_slot_rests(
    settings: Settings, leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    term, epochs = await owned(leader, pool)
    why = ["unreachable", "upstream", "handover"]
    moves = [Succession(n, epochs[n], HEIR, reason) for n, reason in enumerate(why)]
    await leader.name_successors(term, moves)
    # As a leader of the version before does it.
    await pool.execute(
        "select name_successors($1,$2,$3,$4,$5,$6,$7)",
        *(term, ME, [3], [epochs[3]], [HEIR], None, None),
    )
    journal = Journal(settings, OWNER, "owner")
    assert await journal.hand_over(epochs) == {0, 1, 2, 3}
    await journal.close()
    rows = await pool.fetch(
        "select reason from owner_log where to_incarnation = $1 order by slot", HEIR
    )
    assert [r["reason"] for r in rows] == [*why, "handover"]
    assert (await leader.look()).moved == {0, 1}
    assert await pool.fetchval("select count(why) from slot") == 0
    await pool.execute("update owner_log set at = at - interval '61 seconds'")
    assert (await leader.look()).moved == frozenset()


async def test_a_slot_that_is_given_back_is_not_said_to_be_in_trouble(
    settings: Settings, leader: LeaderSession, pool: asyncpg.Pool
) -> None:
    """A successor that died before the handover: what was said of that move ends with it."""
    term, epochs = await owned(leader, pool)
    await leader.name_successors(term, [Succession(0, epochs[0], HEIR, "upstream")])
    await leader.take_over(term, [Takeover(0, epochs[0], OWNER, OWNER, "successor-died")], [0])
    now = (await read_map(pool)).slots[0].epoch
    await leader.name_successors(term, [Succession(0, now, HEIR)])
    journal = Journal(settings, OWNER, "owner")
    await journal.hand_over({0: now})
    await journal.close()
    reason = await pool.fetchval("select reason from owner_log order by id desc limit 1")
    assert reason == "handover"

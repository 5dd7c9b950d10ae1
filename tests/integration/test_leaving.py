"""A coreapp that stops says so, also when it owns nothing."""

from __future__ import annotations

from uuid import uuid4

import asyncpg

from tests.harness.owned import FakeUpstream, session_of
from warouter.config import Settings, Timing
from warouter.owner.beats import Beats
from warouter.owner.moves import Moves
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.writable import Writable
from warouter.store.journal import Journal


async def test_a_spare_that_stops_is_no_heir_and_no_crash(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    incarnation = uuid4()
    session = session_of(settings, "coreapp", incarnation)
    journal = Journal(settings, incarnation, "test")
    await session.beat(True, 5.0)
    timing, clock = Timing(), lambda: 0.0
    ownership = Ownership(session, timing, clock)
    moves = Moves(ownership, journal, Recorder(ownership, journal), timing, clock)
    beats = Beats(session, ownership, moves, FakeUpstream(), Writable(journal), timing, clock)
    await beats.leave()
    assert await pool.fetchval("select leaving from node where incarnation = $1", incarnation)
    session.terminate()
    await journal.close()

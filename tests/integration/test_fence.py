"""I2: no state change of an older epoch commits after a newer one. And that this test can fail."""

from __future__ import annotations

import asyncio
import random
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.harness.postgres import PATIENT
from warouter.config import Settings
from warouter.store import database

SLOT = 7
WRITERS = 5
TAKEOVERS = 120
ENOUGH = 100  # commits, for their silence to tell something
APPEND = "select * from append_messages($1,$2,$3,$4,$5,$6,$7,$8,$9,null,null)"

# The two wrong fences of the literature; each let stale commits through.
NO_LOCK = """
create or replace function held_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language sql volatile as $$
    select coalesce(array_agg(o.slot), '{}') from slot o
      join unnest(p_slots, p_epochs) as p(slot, epoch) on p.slot = o.slot and p.epoch = o.epoch
     where o.owner = p_incarnation
$$"""
LOCK_IN_THE_CHECK = """
create or replace function held_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language sql volatile as $$
    select coalesce(array_agg(o.slot), '{}')
      from (select pg_advisory_xact_lock_shared(7703, s) from unnest(p_slots) s) l, slot o
      join unnest(p_slots, p_epochs) as p(slot, epoch) on p.slot = o.slot and p.epoch = o.epoch
     where o.owner = p_incarnation
$$"""


class Race:
    """Writers that append under the epoch they know, and a leader that keeps raising it."""

    def __init__(self, settings: Settings, *, wrong: bool = False) -> None:
        self._wrong = wrong  # the fence is, so that a stale commit is waited for
        self.settings = settings
        self.incarnation = uuid4()
        self.epoch = 0
        self.ended: dict[int, float] = {}  # epoch -> when its successor's commit was acknowledged
        self.commits: list[tuple[int, float]] = []  # (epoch, when the writer began to commit)
        self.seq = 0
        self.over = False

    async def run(self) -> int:
        """How many commits of an epoch began after that epoch had ended.

        It ends when there are enough commits to tell, or a stale one; or after a time all the same.
        """
        async with asyncio.TaskGroup() as group:
            writers = [group.create_task(self._write(n)) for n in range(WRITERS)]
            await self._take_over()
            self.over = True
            await asyncio.gather(*writers)
        return self._stale()

    def _stale(self) -> int:
        return sum(began > self.ended.get(epoch, float("inf")) for epoch, began in self.commits)

    def _shown(self) -> bool:
        return self._stale() > 0 if self._wrong else len(self.commits) > ENOUGH

    async def _take_over(self) -> None:
        connection = await database.connect(self.settings, "leader")
        loop = asyncio.get_running_loop()
        leader = uuid4()
        term = await connection.fetchval("select win_term($1)", leader)
        for count in range(20 * TAKEOVERS):
            if count >= TAKEOVERS and self._shown():
                break
            old = self.epoch
            await connection.execute(
                "select take_over($1,$2,$3,$4,$5,$6,$7)",
                term,
                leader,
                [SLOT],
                [old],
                [self.incarnation],
                ["test"],
                [0],
            )
            self.ended[old] = loop.time()
            self.epoch = await connection.fetchval("select epoch from slot where slot = $1", SLOT)
            await asyncio.sleep(0.01)
        await connection.close()

    async def _write(self, number: int) -> None:
        connection = await database.connect(self.settings, f"writer {number}")
        loop = asyncio.get_running_loop()
        pause = random.Random(number)
        while not self.over:
            epoch = self.epoch
            seq = self.seq = self.seq + 1
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(PATIENT)
            refused = await connection.fetch(APPEND, *_one(self.incarnation, epoch, seq))
            await asyncio.sleep(pause.random() / 100)
            began = loop.time()
            await transaction.commit()
            if not refused:
                self.commits.append((epoch, began))
        await connection.close()


def _one(incarnation: UUID, epoch: int, seq: int) -> tuple[object, ...]:
    row = ([SLOT], [seq], [seq.to_bytes(20, "big")], ["4915112345678"], [0], [b"{}"])
    return (incarnation, [SLOT], [epoch], *row)


async def test_no_commit_of_an_ended_epoch(settings: Settings) -> None:
    race = Race(settings)
    assert await race.run() == 0
    assert len(race.commits) > ENOUGH


@pytest.mark.parametrize("fence", [NO_LOCK, LOCK_IN_THE_CHECK], ids=["no lock", "same statement"])
async def test_a_wrong_fence_is_caught(settings: Settings, pool: asyncpg.Pool, fence: str) -> None:
    await pool.execute(fence)
    assert await Race(settings, wrong=True).run() > 0

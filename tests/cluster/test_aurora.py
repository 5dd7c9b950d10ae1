"""A whole cluster where the functions of the WAL fail, as on Amazon Aurora: it starts, takes over,
changes its leader and follows a failover of its database there.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.cluster.conftest import PAIR, Start, lived_through
from tests.harness import prepared
from tests.harness.aurora import TODAY, like_aurora
from tests.harness.facts import Facts
from warouter.local.postgres import Postgres
from warouter.store.nodes import read_term

HOLD = {"WAROUTER_HOLD": "25"}
LEADER = "select incarnation, term from term"


@pytest_asyncio.fixture
async def aurora() -> AsyncIterator[Postgres]:
    folder = prepared.reachable_folder()
    server = Postgres(folder / "postgres")
    try:
        await asyncio.to_thread(prepared.copy_to, server.folder)
        await asyncio.to_thread(server.start)
        await like_aurora(server.dsn(prepared.DATABASE), TODAY)
        yield server
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(folder, ignore_errors=True)


async def test_every_change_of_an_owner_and_of_the_leader_works(
    aurora: Postgres, start: Start
) -> None:
    options = {**PAIR, "masters": 2, "environment": aurora.settings() | HOLD, "rate": 100.0}
    async with lived_through(start, **options) as (cluster, business, facts):
        business.start()
        await business.more(50)

        old = (await facts.map()).slots[0]
        (await facts.process_of(old.owner)).kill(signal.SIGKILL)
        taken = (await facts.until(lambda m: m.slots[0].owner not in (None, old.owner))).slots[0]
        assert taken.epoch > old.epoch
        await business.more(50)

        was, term = await facts.connection.fetchrow(LEADER)
        (await facts.leader()).kill(signal.SIGKILL)
        await facts.until_some(f"select 1 from term where term > {term}")
        assert await read_term(facts.connection) != was
        await business.more(50)

        await business.set_shards(2)
        await business.more(50)

        # What a failover is there: another instance with every commit, and the same timeline.
        await facts.connection.close()
        await asyncio.to_thread(aurora.stop, signal.SIGKILL)
        await asyncio.to_thread(aurora.start)
        await business.more(50)
        async with Facts(cluster) as after:
            epochs = {s.epoch >> 32 for s in (await after.map()).slots}
            assert epochs == {1}
            assert await after.connection.fetchval("select term >> 32 from term") == 1

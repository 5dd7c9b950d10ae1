"""The owner log as people read it: by filter, at a time, and with how long a slot paused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest_asyncio

from tests.harness.owned import ME, Slots
from tests.harness.shell import printed
from tests.harness.wait import soon
from warouter.cluster.moves import moves_of
from warouter.config import Settings
from warouter.store.views.owners import OwnerLogFilter, read_changes, read_owners

A, B = uuid4(), uuid4()
NAMES = {A: "h:coreapp-1", B: "h:coreapp-2", ME: "h:coreapp-3"}


@pytest_asyncio.fixture
async def log(pool: asyncpg.Pool) -> asyncpg.Pool:
    """Slots 0 and 1: nobody, A, B by its death, A again by a handover; a second between them."""
    for incarnation, name in NAMES.items():
        await pool.execute(
            "select register_node($1,$2,'coreapp','h',1,null,null,'0','xxh64',1,1,'simulator','')",
            incarnation,
            name,
        )
    steps: tuple[tuple[UUID, str, int | None], ...] = (
        (A, "unowned", None),
        (B, "dead", 120),
        (A, "handover", None),
    )
    for owner, reason, age in steps:
        for slot in (0, 1):
            await pool.execute(
                "select change_owner($1::smallint, $2, 7, $3, $4, 0)", slot, owner, reason, age
            )
        await pool.execute("update owner_log set at = at - interval '1 second'")
    return pool


async def test_changes_by_reason_by_node_and_by_time(log: asyncpg.Pool) -> None:
    async with log.acquire() as connection:
        all_of_it = await read_changes(connection, 100)
        assert [c.reason for c in all_of_it] == ["handover"] * 2 + ["dead"] * 2 + ["unowned"] * 2
        assert [c.slot for c in await read_changes(connection, 3)] == [1, 0, 1]
        dead = await read_changes(connection, 100, OwnerLogFilter(reason="dead"))
        assert {(c.from_node, c.to_node, c.observed_age_ms) for c in dead} == {
            ("h:coreapp-1", "h:coreapp-2", 120)
        }
        of_second = await read_changes(connection, 100, OwnerLogFilter(node="h:coreapp-2"))
        assert {c.reason for c in of_second} == {"dead", "handover"}
        middle = datetime.fromisoformat(dead[0].at)
        around = OwnerLogFilter(
            since=middle - timedelta(seconds=0.5), until=middle + timedelta(seconds=0.5)
        )
        assert {c.reason for c in await read_changes(connection, 100, around)} == {"dead"}


async def test_owners_at_each_time_are_those_that_were(log: asyncpg.Pool) -> None:
    async with log.acquire() as connection:
        changes = await read_changes(connection, 100)
        for change in changes:
            at = datetime.fromisoformat(change.at)
            assert (await read_owners(connection, at))[change.slot] == change.to_node
            before = await read_owners(connection, at - timedelta(milliseconds=1))
            assert before[change.slot] == change.from_node
        now = await read_owners(connection, datetime.now(UTC) + timedelta(hours=1))
    assert now == {0: "h:coreapp-1", 1: "h:coreapp-1"}


async def test_the_command_says_who_owned_what_then(settings: Settings, log: asyncpg.Pool) -> None:
    async with log.acquire() as connection:
        [dead, _] = await read_changes(connection, 2, OwnerLogFilter(reason="dead"))
    page = await printed(settings, "status", "--at", dead.at, "--history", "9", "--reason", "dead")
    then = page.partition("owners at that time")[2].split()
    assert then[:5] == ["slots", "owner", "0,", "1", "h:coreapp-2"]
    assert "handover" not in page


async def test_an_owner_notes_when_it_opened_a_slot(settings: Settings, log: asyncpg.Pool) -> None:
    """Once, of its own epoch only, and not of a change that was superseded."""
    epochs = {}
    for slot in (0, 1):
        epochs[slot] = await log.fetchval(
            "select change_owner($1::smallint, $2, 7, 'dead', 100, 0)", slot, ME
        )
    await log.execute("update owner_log set at = at - interval '30 ms' where epoch = $1", epochs[0])
    slots = Slots(settings)
    running = asyncio.create_task(slots.openings.run())
    try:
        for slot in (0, 1):
            slots.openings.opened(slots.open(slot, epochs[slot]))
        slots.openings.opened(slots.open(2, 99))  # nobody's epoch
        async with log.acquire() as connection:

            async def noted() -> bool:
                latest = await read_changes(connection, 2)
                return all(c.opened_ms is not None for c in latest)

            await soon(noted)
            [move] = moves_of(await read_changes(connection, 2))
            assert move.opened_ms is not None
            assert 0 <= move.opened_ms < 60_000
            assert move.pause_ms == move.opened_ms + 100
            opened = await connection.fetchval("select count(opened_at) from owner_log")
            assert opened == 2
    finally:
        running.cancel()
        await slots.journal.close()

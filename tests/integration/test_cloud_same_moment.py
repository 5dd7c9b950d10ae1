"""An id that the Cloud API gave, and a status of it without a reference, at the same moment: in two
sessions, each of which sees nothing of what the other one has not committed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.harness.journals import an_id
from tests.harness.wait import soon
from tests.harness.webhooks import Webhook, inbox_of, status, webhook
from warouter.upstream.cloud.reference import reference

ID = an_id(1, slot=3)
KEY = "wamid.1:failed:1764000000"
_RECORD = """
insert into upstream_id (wamid, slot, id, attempt)
select unnest($1::text[]), 3, $2, 2 on conflict do nothing"""
_RECEIVE = """
select * from receive_cloud(null, false, 0, 0, array[null]::smallint[], array[0::smallint],
    array[$1], array[null]::bytea[], array[null]::smallint[], array[split_part($1, ':', 1)],
    array['1'], array[''::bytea], array[null]::bytea[], array[1],
    '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')"""
_WAITS = "select exists (select from pg_locks where locktype = 'advisory' and not granted)"
_UNLOCKED = """
create or replace function hold_wamids(p_wamid text[], p_shared boolean) returns void
language sql as ''"""


@asynccontextmanager
async def uncommitted(pool: asyncpg.Pool, sql: str, *given: object) -> AsyncIterator[None]:
    """A session that has done so, and commits at the end."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(sql, *given)
        yield


async def left(pool: asyncpg.Pool) -> int:
    """Number of statuses of nobody."""
    count: int = await pool.fetchval("select count(*) from cloud_unmatched")
    return count


@pytest.fixture(params=["id first", "status first"])
def order(request: pytest.FixtureRequest) -> list[tuple[Any, ...]]:
    """Statements of the two sessions with what they are given, in the order of their commits."""
    both: list[tuple[Any, ...]] = [(_RECORD, ["wamid.1"], ID), (_RECEIVE, KEY)]
    return both if request.param == "id first" else both[::-1]


async def test_they_find_each_other(pool: asyncpg.Pool, order: list[tuple[Any, ...]]) -> None:
    first, second = order
    async with uncommitted(pool, *first):
        later = asyncio.ensure_future(pool.execute(*second))
        await soon(lambda: pool.fetchval(_WAITS))
    await later
    (row,) = await inbox_of(pool)
    assert (row["slot"], row["id"], row["attempt"], row["key"]) == (3, ID, 2, KEY)
    assert await left(pool) == 0


async def test_without_the_locks_they_miss_each_other(
    pool: asyncpg.Pool, order: list[tuple[Any, ...]]
) -> None:
    await pool.execute(_UNLOCKED)
    first, second = order
    async with uncommitted(pool, *first):
        await pool.execute(*second)
    assert await inbox_of(pool) == []
    assert await left(pool) == 1


async def test_a_status_with_its_reference_waits_for_nobody(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    async with uncommitted(pool, _RECORD, ["wamid.1"], ID):
        named = status("wamid.1", reference=reference(ID, 2))
        assert await hook.post(webhook(statuses=[named])) == 200
    assert len(await inbox_of(pool)) == 1


async def test_many_of_both_find_each_other_and_never_wait_in_a_circle(
    hooks: list[Webhook], pool: asyncpg.Pool
) -> None:
    wamids = [f"wamid.{n}" for n in range(400)]

    async def record() -> None:
        shuffled = random.sample(wamids, len(wamids))
        for n in range(0, len(wamids), 20):
            await pool.execute(_RECORD, sorted(shuffled[n : n + 20]), ID)

    async def hear(hook: Webhook) -> None:
        shuffled = random.sample(wamids, len(wamids))
        for n in range(0, len(wamids), 20):
            statuses = [status(wamid, name="failed") for wamid in shuffled[n : n + 20]]
            assert await hook.post(webhook(statuses=statuses)) == 200

    await asyncio.gather(record(), record(), *map(hear, hooks))
    assert len(await inbox_of(pool)) == len(wamids)
    assert await left(pool) == 0

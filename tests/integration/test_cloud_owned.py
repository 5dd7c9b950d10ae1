"""The owner of a slot with the Cloud API, whole: on a real PostgreSQL, with a scripted Graph."""

from __future__ import annotations

import asyncpg

from tests.harness.cloud_owned import (
    cut,
    hear,
    issues,
    owning_cloud,
    refused,
    settled,
    shown,
    silent,
    success,
    taken,
)
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.kinds import READ_MARK
from warouter.store.journal.issues import DOUBTED, ISSUED


async def test_a_message_is_issued_before_it_begins_and_settled_by_its_answer(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, silent) as slots:
        message_id = slots.message()
        [request] = await slots.begun(1)
        assert request.ref == (message_id, 1)
        assert await issues(pool) == [(message_id, 1, 0, ISSUED)]
        request.answer.set_result(taken(request))
        await settled(pool)
        assert await pool.fetchval("select id from upstream_id where wamid = $1", request.wamid)


async def test_evidence_ends_a_doubt_and_nothing_is_sent_again(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, cut) as slots:
        message_id = slots.message()
        [request] = await slots.begun(1)
        await soon(lambda: pool.fetchval("select state = $1 from send_issue", DOUBTED))
        await hear(pool, request.ref)
        await settled(pool)
        assert slots.graph.refs() == [(message_id, 1)]
        await soon(lambda: shown(pool, message_id))
        assert await shown(pool, message_id) == ["sent"]


async def test_the_next_owner_sends_again_after_the_window_alone(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, silent) as slots:
        message_id = slots.message()
        await slots.begun(1)
    async with owning_cloud(settings, pool) as slots:
        assert await issues(pool) == [(message_id, 1, 1, DOUBTED)]
        assert slots.graph.refs() == []
        slots.skip(61)
        await slots.begun(1)
        await settled(pool)
        assert slots.graph.refs() == [(message_id, 2)]


async def test_a_lane_waits_for_the_end_of_a_doubt_past_its_window(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """The proof is asked for when the window is over: until it comes, the lane stays shut."""
    async with owning_cloud(settings, pool, silent) as slots:
        first = slots.message()
        await slots.begun(1)
        second = slots.message()
        await soon(lambda: pool.fetchval("select count(*) = 2 from message"))
    async with owning_cloud(settings, pool) as slots:
        answers = iter([False])
        vars(slots.end._proving)["proven"] = lambda _since: next(answers, True)
        slots.skip(61)
        await slots.begun(2)
        assert slots.graph.refs() == [(first, 2), (second, 1)]


async def test_a_read_mark_is_said_once_and_lets_the_next_message_go(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """Its answer names no message: taken for an unclear one it was repeated for ever."""
    mark = {"status": "read", "message_id": "wamid.HBgL"}
    async with owning_cloud(settings, pool, success) as slots:
        slots.message(kind=READ_MARK, body=mark)
        await slots.begun(1)
        slots.graph.script = taken
        message_id = slots.message()
        await settled(pool)
        assert slots.graph.refs() == [(b"", 0), (message_id, 1)]
        assert await pool.fetchval("select count(*) from event") == 0


async def test_a_read_mark_that_was_refused_goes_again_within_the_rate(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """It went beside it for ever, and each refusal made the owner slower."""
    mark = {"status": "read", "message_id": "wamid.HBgL"}
    async with owning_cloud(settings, pool, refused(130429)) as slots:
        slots.message(kind=READ_MARK, body=mark)
        await slots.begun(1)
        assert slots.end.pace.begun == 0
        slots.graph.script = success
        await soon(lambda: pool.fetchval("select count(*) from parked_message"))
        slots.skip(3.0)
        await slots.begun(2)
        await settled(pool)
        assert slots.end.pace.begun == 1

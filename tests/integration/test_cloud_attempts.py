"""Two attempts of one message: a failure of one says nothing while the other may be delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.harness.cloud_owned import (
    CloudSlots,
    Script,
    cut,
    hear,
    issues,
    owning_cloud,
    settled,
    shown,
    silent,
    taken,
)
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.errors import OutcomeUnknown
from warouter.flow.doubt import DoubtState
from warouter.owner import recorder

WINDOW = 61.0  # seconds, and a little more


@asynccontextmanager
async def sent_again(
    settings: Settings, pool: asyncpg.Pool, script: Script
) -> AsyncIterator[tuple[CloudSlots, bytes]]:
    """Nobody knows of the first attempt; what is said to the second is the script's."""
    async with owning_cloud(settings, pool, cut) as me:
        message = me.message()
        await me.begun(1)
        await soon(lambda: message in me.slot.issues and me.slot.issues[message].since > 0)
        me.graph.script = script
        me.skip(WINDOW)
        await me.begun(2)
        yield me, message


async def drained(me: CloudSlots, pool: asyncpg.Pool) -> None:
    """Everything in the inbox was read, and is deleted."""
    await soon(lambda: pool.fetchval("select count(*) = 0 from cloud_inbox"))


async def read(me: CloudSlots, times: int = 3) -> None:
    """The inbox was read so often more, from its beginning."""
    begun = me.end.readings.begun()
    await soon(lambda: me.end.readings.begun() > begun + times)


async def test_a_failure_is_not_shown_while_a_later_attempt_that_was_taken_may_be_delivered(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with sent_again(settings, pool, taken) as (me, message):
        await settled(pool)
        await hear(pool, (message, 1), "failed")
        await drained(me, pool)
        assert await shown(pool, message) == []
        await hear(pool, (message, 2), "delivered")
        await soon(lambda: shown(pool, message))
        assert await shown(pool, message) == ["delivered"]
        assert me.end.drain.rows.contradictions == 0


@pytest.mark.parametrize("first", [1, 2])
async def test_a_failure_is_shown_once_both_attempts_have_failed(
    settings: Settings, pool: asyncpg.Pool, first: int
) -> None:
    async with sent_again(settings, pool, taken) as (me, message):
        await settled(pool)
        await hear(pool, (message, 1))
        await drained(me, pool)
        await hear(pool, (message, first), "failed")
        await drained(me, pool)
        assert await shown(pool, message) == ["sent"]
    async with owning_cloud(settings, pool) as me:
        await hear(pool, (message, 3 - first), "failed")
        await drained(me, pool)
        assert await shown(pool, message) == ["sent", "failed"]


async def test_a_failure_waits_for_the_end_of_a_later_attempt(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """The answer is in memory only when the row is read once more."""
    async with sent_again(settings, pool, silent) as (me, message):
        await hear(pool, (message, 1), "failed")
        await settled(pool)
        await read(me)
        request = me.graph.requests[1]
        request.answer.set_result(taken(request))
        await drained(me, pool)
        assert await shown(pool, message) == []
        await hear(pool, (message, 2), "failed")
        await soon(lambda: shown(pool, message))
        assert await shown(pool, message) == ["failed"]


@pytest.mark.parametrize("before", [True, False])
async def test_a_failure_waits_for_the_window_of_an_unknown_attempt(
    settings: Settings, pool: asyncpg.Pool, *, before: bool
) -> None:
    """Whether that came into doubt before, or after the failure was heard."""
    async with sent_again(settings, pool, silent) as (me, message):
        request = me.graph.requests[1]
        if before:
            request.answer.set_result(cut(request))
            await soon(lambda: me.slot.issues[message].state is DoubtState.DOUBT)
        await hear(pool, (message, 1), "failed")
        await settled(pool)
        if not before:
            request.answer.set_result(cut(request))
        await read(me)
        assert await issues(pool) == []
        assert await shown(pool, message) == []
        me.skip(WINDOW)
        await soon(lambda: shown(pool, message))
        assert await shown(pool, message) == ["failed"]
        await drained(me, pool)


async def test_a_duplicate_counts_although_its_commit_is_not_confirmed(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with sent_again(settings, pool, taken) as (me, message):
        await settled(pool)
        drained_by = me.journal.drained
        lost = 0

        async def unconfirmed(*given: Any) -> Any:
            nonlocal lost
            told = await drained_by(*given)
            if told and not lost:
                lost += 1
                raise OutcomeUnknown("lost")
            return told

        vars(me.journal)["drained"] = unconfirmed
        await hear(pool, (message, 1))
        await soon(lambda: me.end._remote.acks.duplicates)
        await hear(pool, (message, 1), "delivered")
        await drained(me, pool)
        assert (me.end._remote.acks.duplicates, lost) == (1, 1)
    # The next process is another incarnation.
    await pool.execute("update upstream_id set twice = gen_random_uuid() where twice is not null")
    async with owning_cloud(settings, pool) as me:
        await hear(pool, (message, 2), "delivered")
        await drained(me, pool)
        assert me.end._remote.acks.duplicates == 0


async def test_a_duplicate_counts_when_both_ids_are_read_at_once(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """Of both attempts a status comes before any answer."""
    async with sent_again(settings, pool, silent) as (me, message):
        await hear(pool, (message, 1))
        await hear(pool, (message, 2))
        await drained(me, pool)
        await soon(lambda: me.end._remote.acks.duplicates)
        assert me.end._remote.acks.duplicates == 1


async def test_a_duplicate_counts_when_an_answer_follows_the_others_status(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is ever heard of either."""
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", 1.5)
    monkeypatch.setattr(recorder, "FEW_SECONDS", 1.5)
    async with sent_again(settings, pool, silent) as (me, message):
        request = me.graph.requests[1]
        request.answer.set_result(taken(request))
        await soon(lambda: message not in me.slot.issues)
        await hear(pool, (message, 1))
        await settled(pool)
        await soon(lambda: me.end._remote.acks.duplicates)
        assert me.end._remote.acks.duplicates == 1

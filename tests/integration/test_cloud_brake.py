"""While Meta takes nothing: one request at a time, and nothing is used up by that."""

from __future__ import annotations

import asyncpg
import pytest

from tests.harness.cloud_owned import (
    CloudSlots,
    Script,
    cut,
    issues,
    owning_cloud,
    refused,
    settled,
    taken,
)
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.flow.doubt import DoubtState
from warouter.owner.cloud.rate.brake import VAIN

OTHERS = [f"49151000{n:05d}" for n in range(30)]
WINDOW = 61


def doubts(me: CloudSlots, message_id: bytes) -> int:
    """How many requests of it may have been taken."""
    issue = me.slot.issues.get(message_id)
    return issue.doubts if issue is not None and issue.state is DoubtState.DOUBT else 0


async def doubted(me: CloudSlots, message_id: bytes, number: int) -> None:
    """This request begins, has no answer, and its window is over."""
    await me.begun(number)
    await soon(lambda: doubts(me, message_id) == number)
    me.skip(WINDOW)


@pytest.mark.parametrize("script", [cut, refused(131000, 500), refused(2, 503), refused(4)])
async def test_a_number_of_which_nothing_is_taken_sends_one_request_at_a_time(
    settings: Settings, pool: asyncpg.Pool, script: Script
) -> None:
    async with owning_cloud(settings, pool, script) as me:
        for recipient in OTHERS[:VAIN]:
            me.message(recipient)
        await soon(lambda: me.end.pace.brake.on)
        for recipient in OTHERS[VAIN:]:
            me.message(recipient)
        before = len(me.graph.requests)
        await soon(lambda: me.slot.lanes.waiting >= len(OTHERS) - VAIN)
        for n in range(1, 4):
            me.skip(70.0)  # whatever is due is due
            me.end.pace.call_in(0.0)
            await soon(lambda n=n: len(me.graph.requests) == before + n)
            await soon(lambda: not me.end.pace.brake._probe)
        me.graph.script = taken
        me.skip(310.0)
        me.end.pace.call_in(0.0)
        await settled(pool, len(OTHERS))
        assert not me.end.pace.brake.on


async def test_while_none_is_taken_no_resend_uses_up_an_attempt(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """After three attempts it was held, whatever became of all the others."""
    async with owning_cloud(settings, pool, cut) as me:
        message_id = me.message()
        for number in range(1, 8):
            await doubted(me, message_id, number)
        assert me.slot.issues[message_id].counted == 1
        await soon(lambda: pool.fetchval("select doubts = 1 from send_issue"))
        me.graph.script = taken
        me.skip(WINDOW)
        await settled(pool)


async def test_a_message_is_tried_ten_times_at_most(settings: Settings, pool: asyncpg.Pool) -> None:
    async with owning_cloud(settings, pool, cut) as me:
        message_id = me.message()
        for number in range(1, 11):
            await doubted(me, message_id, number)
        await soon(lambda: me.slot.issues[message_id].state is DoubtState.HELD)
        assert len(me.graph.requests) == 10


async def test_errors_for_the_operator_use_up_no_attempt(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """They have 999: a number that flapped once a second was through with them in 17 minutes."""
    async with owning_cloud(settings, pool, refused(190, 401)) as me:
        message_id = me.message()
        for number in range(1, 6):
            await me.begun(number)
            await soon(lambda: me.end.pace.stop == 190)
            me.end.pace.resumed()
        me.graph.script = taken
        me.skip(1.0)
        me.end.pace.resumed()
        await settled(pool)
        assert set(me.graph.refs()) == {(message_id, 1)}
        assert await issues(pool) == []


async def test_many_unknown_refusals_in_a_row_stop_the_number_and_fail_no_more(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, refused(987654)) as me:
        for recipient in OTHERS:
            me.message(recipient)
        await soon(lambda: me.end.pace.stop == 987654)
        failed = "select count(*) = 9 from event where key like '%:failed'"
        await soon(lambda: pool.fetchval(failed))
        assert me.end._stop.now is not None

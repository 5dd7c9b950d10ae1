"""Two attempts of one message: a failure of one says nothing while the other may be delivered.

What is counted of them; and while Meta takes nothing, none is used up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.harness.cloud_owned import (
    CloudSlots,
    Request,
    Script,
    cut,
    hear,
    issues,
    owning_cloud,
    refused,
    settled,
    shown,
    silent,
    taken,
)
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.errors import OutcomeUnknown
from warouter.flow.doubt.states import DoubtState
from warouter.owner import recorder
from warouter.owner.cloud.rate.brake import VAIN
from warouter.owner.slot import OwnedSlot
from warouter.upstream.cloud.graph.exchange import Exchanged

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


# What is counted of requests that were answered with an error of Meta's own (Q13)


def first_then_taken(code: int, status: int) -> Script:
    """The first attempt is answered so, all others are taken."""

    def script(request: Request) -> Exchanged | None:
        return refused(code, status)(request) if request.attempt == 1 else taken(request)

    return script


def counted(me: CloudSlots) -> tuple[dict[int, int], dict[tuple[int, str], int]]:
    after = me.end._remote.aftermath
    return dict(after.answers), dict(after.statuses)


@pytest.mark.parametrize(("code", "status"), [(131016, 500), (133004, 503), (2, 503)])
async def test_a_refused_attempt_that_was_sent_is_counted(
    settings: Settings, pool: asyncpg.Pool, code: int, status: int
) -> None:
    """It goes again as its second attempt; then a status of the first one comes, too."""
    async with owning_cloud(settings, pool, first_then_taken(code, status)) as me:
        message = me.message()
        await me.begun(2)
        await hear(pool, (message, 2))
        await settled(pool)
        assert counted(me) == ({code: 1}, {})
        for _ in range(2):
            await hear(pool, (message, 1), "sent")
        await hear(pool, (message, 1), "delivered")
        await soon(lambda: counted(me)[1] == {(code, "sent"): 1, (code, "delivered"): 1})


@pytest.mark.parametrize("code", [1, 131000])
async def test_a_status_that_ends_a_doubt_is_counted(
    settings: Settings, pool: asyncpg.Pool, code: int
) -> None:
    async with owning_cloud(settings, pool, refused(code, 500)) as me:
        message = me.message()
        await me.begun(1)
        await soon(lambda: counted(me)[0] == {code: 1})
        await hear(pool, (message, 1), "sent")
        await settled(pool)
        assert counted(me) == ({code: 1}, {(code, "sent"): 1})


async def test_other_answers_are_not_counted(settings: Settings, pool: asyncpg.Pool) -> None:
    async with owning_cloud(settings, pool, first_then_taken(130429, 400)) as me:
        message = me.message()
        await me.begun(2)
        await hear(pool, (message, 1), "sent")
        await hear(pool, (message, 2), "sent")
        await settled(pool)
        assert counted(me) == ({}, {})


# While Meta takes nothing: one request at a time, and nothing is used up by that


OTHERS = [f"49151000{n:05d}" for n in range(30)]


def doubts(me: CloudSlots, message_id: bytes) -> int:
    """How many requests of it may have been taken."""
    issue = me.slot.issues.get(message_id)
    return issue.doubts if issue is not None and issue.state is DoubtState.DOUBT else 0


def on_disk(slot: OwnedSlot, message_id: bytes) -> bool:
    """True once the row has all that is known of the message."""
    return slot.issues.on_disk(slot.issues[message_id], slot.recorded)


async def in_doubt(me: CloudSlots, message_id: bytes, number: int) -> None:
    """This request begins, and has no answer."""
    await me.begun(number)
    await soon(lambda: doubts(me, message_id) == number)


async def doubted(me: CloudSlots, message_id: bytes, number: int) -> None:
    """This request begins, has no answer, and its window is over."""
    await in_doubt(me, message_id, number)
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
        await soon(lambda: pool.fetchval("select doubts - spared = 1 from send_issue"))
        me.graph.script = taken
        me.skip(WINDOW)
        await settled(pool)


async def test_a_message_is_tried_ten_times_at_most(settings: Settings, pool: asyncpg.Pool) -> None:
    """Also by owners that know of it only by its row."""
    async with owning_cloud(settings, pool, cut) as me:
        message_id = me.message()
        for number in range(1, 11):
            await in_doubt(me, message_id, number)
            if number % 2:
                await soon(lambda: on_disk(me.slot, message_id))
                await me.renew(pool)
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

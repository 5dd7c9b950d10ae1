"""A process whose epoch ended goes on under the next one, and forgets nothing that it knows."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.harness.cloud_owned import (
    CloudSlots,
    issues,
    own,
    owning_cloud,
    settled,
    silent,
    taken,
)
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.errors import OutcomeUnknown
from warouter.owner import recorder
from warouter.store.journal.issues import DOUBTED, ISSUED


@pytest.fixture
def slow_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known in memory stays there for seconds."""
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", 30.0)
    monkeypatch.setattr(recorder, "FEW_SECONDS", 30.0)


def lose_the_answer(
    monkeypatch: pytest.MonkeyPatch, slots: CloudSlots, name: str, *, commits: bool = True
) -> None:
    """Nobody hears of the commit of one statement of the journal, which is made or not."""
    made = getattr(slots.journal, name)

    async def unknown(*given: Any) -> Any:
        if commits:
            await made(*given)
        monkeypatch.setattr(slots.journal, name, made)
        raise OutcomeUnknown("the connection broke")

    monkeypatch.setattr(slots.journal, name, unknown)


@pytest.mark.usefixtures("slow_records")
async def test_an_answer_that_was_not_recorded_is_known(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, silent) as slots:
        message_id = slots.message()
        [request] = await slots.begun(1)
        request.answer.set_result(taken(request))
        await soon(lambda: not slots.slot.issues)
        await slots.renew(pool)
        await slots.recorder.flush()
        await settled(pool)
        assert slots.graph.refs() == [(message_id, 1)]
        assert await pool.fetchval("select wamid from upstream_id") == request.wamid


async def test_an_answer_that_comes_later_ends_the_doubt(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, silent) as slots:
        message_id = slots.message()
        [request] = await slots.begun(1)
        await slots.renew(pool)
        assert await issues(pool) == [(message_id, 1, 1, DOUBTED)]
        request.answer.set_result(taken(request))
        await settled(pool)
        assert slots.graph.refs() == [(message_id, 1)]


@pytest.mark.parametrize("ttl", [None, 600])
async def test_a_request_issued_by_an_unknown_commit_goes_at_once(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, ttl: int | None
) -> None:
    """With its message, or (here if it has a ttl) after it."""
    async with owning_cloud(settings, pool) as slots:
        lose_the_answer(monkeypatch, slots, "issue" if ttl else "append_issued")
        old = slots.slot
        message_id = slots.message(ttl=ttl)
        await soon(lambda: not old.open)
        assert await issues(pool) == [(message_id, 1, 0, ISSUED)]
        await slots.renew(pool)
        await settled(pool)
        assert slots.graph.refs() == [(message_id, 2)]


async def test_of_what_an_owner_in_between_may_have_begun_nothing_is_known(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owning_cloud(settings, pool) as slots:
        lose_the_answer(monkeypatch, slots, "issue", commits=False)
        old = slots.slot
        message_id = slots.message(ttl=600)
        await soon(lambda: not old.open)
        await own(pool)  # the other one's
        await pool.execute(
            "insert into send_issue (slot, seq, id, recipient, attempt, state)"
            " select slot, seq, id, recipient, 1, $1 from message",
            ISSUED,
        )
        await slots.renew(pool)
        reading = slots.end.readings.begun()
        await soon(lambda: slots.end.readings.begun() > reading + 2)
        assert slots.graph.refs() == []
        assert await issues(pool) == [(message_id, 1, 1, DOUBTED)]

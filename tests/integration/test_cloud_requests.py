"""Requests to the Cloud API at an owner, whole: their rows, attempts, and what is heard of them."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import asyncpg
import pytest

from tests.harness.cloud_owned import (
    CloudSlots,
    Script,
    cut,
    hear,
    held,
    issues,
    own,
    owning_cloud,
    refused,
    settled,
    shown,
    silent,
    success,
    taken,
    template,
)
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.errors import OutcomeUnknown
from warouter.flow.lanes import WINDOW
from warouter.kinds import READ_MARK
from warouter.message_id import text_of
from warouter.owner import recorder
from warouter.owner.cloud import lookups
from warouter.store.journal.issues import DOUBTED, ISSUED, NOT_TAKEN

OTHER = "4915112345679"


async def test_a_late_record_of_a_take_back_spares_the_row_of_a_request_that_is_out(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken back, issued again and begun, and then the record of the former came."""
    async with owning_cloud(settings, pool, silent) as slots:
        slots.message(OTHER)
        await slots.begun(1)
        slots.graph.requests[0].answer.set_result(taken(slots.graph.requests[0]))
        await settled(pool)
        monkeypatch.setattr(recorder, "FLUSH_SECONDS", 1.0)
        monkeypatch.setattr(recorder, "FEW_SECONDS", 1.0)
        append = slots.journal.append_issued

        async def then_quiet(*given: Any) -> Any:
            answer = await append(*given)
            slots.slot.quiet = True
            return answer

        monkeypatch.setattr(slots.journal, "append_issued", then_quiet)
        message_id = slots.message()
        await soon(lambda: slots.slot.messages.changes)
        slots.slot.quiet = False
        slots.sender.pump(slots.slot)
        await slots.begun(2)
        await slots.recorder.flush()
        assert await issues(pool) == [(message_id, slots.graph.requests[1].attempt, 0, ISSUED)]


async def test_a_graph_that_cannot_be_reached_uses_up_no_attempt(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """An hour of it used up all numbers, and the messages that waited never went."""
    async with owning_cloud(settings, pool) as slots:
        slots.graph.unreachable = True
        message_id = slots.message()
        # Each pause ends: between two looks of ours another may.
        await soon(lambda: slots.graph.asked >= 4 and slots.end.pace.stopped)
        slots.graph.unreachable = False
        await settled(pool)
        assert slots.graph.refs() == [(message_id, 1)]


async def test_requests_held_back_by_us_stop_no_other(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """A slot that is to move; the Graph is well."""
    async with owning_cloud(settings, pool) as slots:
        slots.graph.room.clear()
        slots.message()
        await soon(lambda: slots.graph.asked)
        slots.slot.quiet = True
        slots.graph.room.set()
        await soon(lambda: not slots.upstream.out)
        assert not slots.end.pace.stopped


async def test_a_message_whose_attempts_are_used_up_ends(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """It stood still for ever, as out."""
    async with owning_cloud(settings, pool, refused(131016, 500)) as slots:
        message_id = slots.message()
        await soon(lambda: pool.fetchval("select state = $1 from send_issue", NOT_TAKEN))
    await pool.execute("update send_issue set attempt = 999")
    async with owning_cloud(settings, pool) as slots:
        await settled(pool)
        assert slots.graph.refs() == []
        assert await shown(pool, message_id) == ["failed"]


async def test_while_the_number_is_stopped_nobody_looks_for_room(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner looked a thousand times a second."""
    async with owning_cloud(settings, pool, refused(190, 401)) as slots:
        slots.message()
        await slots.begun(1)
        await soon(lambda: slots.slot.lanes.ready)
        looks = 0
        room = slots.end.pace._room

        def counted() -> None:
            nonlocal looks
            looks += 1
            room()

        vars(slots.end.pace)["_room"] = counted
        reading = slots.end.readings.begun()
        await soon(lambda: slots.end.readings.begun() > reading + 2)
        assert looks < 10


async def test_an_error_of_ours_ends_the_epoch_and_not_the_message(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its message was out for ever."""
    async with owning_cloud(settings, pool, silent) as slots:
        slots.message()
        [request] = await slots.begun(1)
        old = slots.slot

        def broken(*_: object) -> None:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(slots.sender.hearsay, "evidence", broken)
        request.answer.set_result(taken(request))
        await soon(lambda: not old.open)


async def test_a_status_that_was_not_stored_is_shown_under_the_next_epoch(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was remembered as shown, and lost."""
    async with owning_cloud(settings, pool, taken) as slots:
        message_id = slots.message()
        await settled(pool)

        async def unknown(*_: object) -> None:
            raise OutcomeUnknown("the connection broke")

        with monkeypatch.context() as patch:
            patch.setattr(slots.journal, "append_events", unknown)
            old = slots.slot
            await hear(pool, (message_id, 1), "delivered")
            await soon(lambda: not old.open)
        await slots.renew(pool)
        await soon(lambda: pool.fetchval("select not exists (select from cloud_inbox)"))
        assert await shown(pool, message_id) == ["delivered"]


async def test_two_attempts_that_were_taken_are_counted_however_they_are_heard_of(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """Where a status tells of the first and then the answer of the second."""
    async with owning_cloud(settings, pool, cut) as slots:
        message_id = slots.message()
        await slots.begun(1)
        slots.graph.script = silent
        await soon(lambda: message_id in slots.slot.issues and slots.slot.issues[message_id].doubts)
        slots.skip(61)
        _, second = await slots.begun(2)
        await hear(pool, (message_id, 1))
        await settled(pool)
        second.answer.set_result(taken(second))
        await soon(lambda: slots.end._remote.acks.duplicates)
        await asyncio.sleep(0)
        assert slots.end._remote.acks.duplicates == 1


async def test_a_message_takes_one_place_in_the_rate_also_if_it_has_to_wait(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """One that quotes, or has media, took one before and one after; one with a ttl likewise."""
    async with owning_cloud(settings, pool) as slots:
        first = slots.message()
        await settled(pool)
        quote = {"type": "text", "text": {"body": "hi"}, "context": {"message_id": text_of(first)}}
        slots.message(body=quote)
        await settled(pool, 2)
        assert (
            slots.graph.requests[1].body["context"]["message_id"] == slots.graph.requests[0].wamid
        )
        slots.message(ttl=60)
        await settled(pool, 3)
        assert slots.end.pace.begun == 3
        assert slots.slot.issues == {}


async def test_no_more_go_with_their_commit_than_the_window_has_places(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, silent) as slots:
        slots.end.pace.budget.grant(100_000.0, slots.now())
        slots.skip(60)
        for number in range(2 * WINDOW):
            slots.message(f"49151{number:06}")
        await slots.begun(WINDOW)
        await soon(lambda: not slots.slot.appending)
        assert slots.slot.lanes.out == WINDOW


@pytest.mark.parametrize(
    ("script", "statement", "ttl"),
    [(taken, "issue", 60), (refused(131026), "append_endings", None)],
    ids=["a request is about to begin", "a refusal is not on disk"],
)
async def test_a_slot_is_not_idle_while_its_database_is_waited_for(
    settings: Settings,
    pool: asyncpg.Pool,
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
    statement: str,
    ttl: int | None,
) -> None:
    """It was handed over, and then its row was written, or said that it was out: a doubt."""
    async with owning_cloud(settings, pool, script) as slots:
        made, gate, asked = getattr(slots.journal, statement), asyncio.Event(), asyncio.Event()

        async def slowly(*given: Any) -> Any:
            asked.set()
            await gate.wait()
            return await made(*given)

        monkeypatch.setattr(slots.journal, statement, slowly)
        slots.message(ttl=ttl)
        await asked.wait()
        assert not slots.sender.idle(slots.slot)
        gate.set()
        await settled(pool)
        assert slots.sender.idle(slots.slot)


async def test_a_message_that_cannot_be_read_fails_and_stops_no_other(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: object, **_more: object) -> bytes:
        raise RuntimeError("a fault of ours")

    async with owning_cloud(settings, pool) as slots:
        with monkeypatch.context() as patch:
            patch.setattr(lookups, "translate", broken)
            message_id = slots.message()
            await settled(pool)
        assert await shown(pool, message_id) == ["failed"]
        other = slots.message()
        await settled(pool, 2)
        assert slots.graph.refs() == [(other, 1)]


async def test_after_one_that_meta_holds_back_those_of_its_template_wait_longer(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, held) as slots:
        slots.message(body=template("utility"))
        await settled(pool)
        slots.graph.script = cut
        message_id = slots.message(body=template("utility"))
        await slots.begun(2)
        await soon(lambda: pool.fetchval("select state = $1 from send_issue", DOUBTED))
        treatment = slots.slot.issues[message_id].treatment
        assert slots.end._rules.of(treatment).window > 3_600


async def test_a_status_is_shown_also_if_its_message_is_pruned(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """`gc` prunes after ten minutes, and a phone may be off for days."""
    async with owning_cloud(settings, pool) as slots:
        message_id = slots.message()
        await settled(pool)
        await pool.execute("delete from message")
        await hear(pool, (message_id, 1), "delivered")
        await soon(lambda: pool.fetchval("select not exists (select from cloud_inbox)"))
        assert await shown(pool, message_id) == ["delivered"]


# From the issue to the end, over owners


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
        answers = iter([math.inf])
        vars(slots.end._proving)["proven_at"] = lambda since: next(answers, since)
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


# A process whose epoch ended goes on under the next one, and forgets nothing that it knows


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

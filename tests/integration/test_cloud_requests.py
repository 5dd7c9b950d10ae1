"""Requests to the Cloud API at an owner, whole: their rows, attempts, and what is heard of them."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.harness.cloud_owned import (
    cut,
    hear,
    held,
    issues,
    owning_cloud,
    refused,
    settled,
    shown,
    silent,
    taken,
    template,
)
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.errors import OutcomeUnknown
from warouter.flow.lanes import WINDOW
from warouter.message_id import text_of
from warouter.owner import recorder
from warouter.owner.cloud import lookups
from warouter.store.journal.issues import ISSUED, NOT_TAKEN

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

        monkeypatch.setattr(slots.end.doubts.endings, "evidence", broken)
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
        assert slots.slot.issues.paid == set()


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


async def test_a_slot_is_not_idle_while_a_request_is_about_to_begin(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was handed over, and then its row was written: a doubt."""
    async with owning_cloud(settings, pool) as slots:
        issue, gate, asked = slots.journal.issue, asyncio.Event(), asyncio.Event()

        async def slowly(*given: Any) -> Any:
            asked.set()
            await gate.wait()
            return await issue(*given)

        monkeypatch.setattr(slots.journal, "issue", slowly)
        slots.message(ttl=60)
        await asked.wait()
        assert not slots.sender.idle(slots.slot)
        gate.set()
        await settled(pool)
        assert slots.sender.idle(slots.slot)


async def test_a_slot_is_not_idle_while_a_refusal_is_not_on_disk(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was handed over, and its row said that it was out: a doubt."""
    async with owning_cloud(settings, pool, refused(131026)) as slots:
        append, gate, asked = slots.journal.append_events, asyncio.Event(), asyncio.Event()

        async def slowly(*given: Any) -> Any:
            asked.set()
            await gate.wait()
            return await append(*given)

        monkeypatch.setattr(slots.journal, "append_events", slowly)
        slots.message()
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
        issue = await soon(lambda: slots.slot.issues.get(message_id))
        await soon(lambda: issue.rule)
        assert issue.rule.window > 3_600


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

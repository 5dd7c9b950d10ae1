"""Errors that nobody foresaw, in work for slots that nobody awaits: the epoch ends, nothing stands.

Each of them once left a recipient, or a slot's callbacks, standing still until the epoch ended for
another reason, or ended the process and with it every other slot.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.owned import EPOCH, ME, RECIPIENT, EndOfNothing, Slots, an_id, ended
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.flow.lanes import LaneEntry
from warouter.flow.parking import LaneState, ParkedLane
from warouter.link.wire import NOT_OWNER
from warouter.message_id import text_of
from warouter.owner.slot import Claiming, OwnedSlot
from warouter.store.journal import Journal
from warouter.upstream.protocol import Answer, Event


def failed(name: str) -> Event:
    """A status of the owner's own."""
    return Event(3, 0, "status", f"{name}:failed", RECIPIENT, b"{}")


class Clumsy:
    """A real journal; the calls in ``fail`` raise what no caller thinks of, once each."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.fail: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name in self.fail:
            self.fail.discard(name)
            return _clumsy
        return getattr(self.journal, name)


async def _clumsy(*_arguments: Any) -> None:
    await asyncio.sleep(0)
    raise KeyError("nobody thought of it")


@pytest_asyncio.fixture
async def slots(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Slots]:
    await pool.execute("update slot set owner = $1, epoch = 11 where slot = any ('{3,5}')", ME)
    slots = Slots(settings, journal=Clumsy(Journal(settings, ME, "test")))
    yield slots
    await slots.journal.close()


def _next_page(slots: Slots, slot: OwnedSlot) -> str:
    """The first page of a parked recipient is sent and answered, and its next page is read."""
    slot.messages.parked[RECIPIENT] = lane = ParkedLane(0.0)
    lane.read_ended(1, more=True)
    slot.lanes.block(RECIPIENT)
    slot.lanes.push(LaneEntry(1, an_id(3), RECIPIENT, 0, b"{}", 1, True))
    slot.lanes.take()
    slots.hearing.on_upstream([Answer(3, text_of(an_id(3)))])
    return "parked_of"


def _parked(slots: Slots, slot: OwnedSlot) -> str:
    slot.messages.parked[RECIPIENT] = ParkedLane(0.0)
    slot.claim = Claiming.GRANTED
    return "parked_of"


def _messages(slots: Slots, slot: OwnedSlot) -> str:
    slot.messages.committed = 10
    slots.ownership.opened({3: EPOCH})
    return "pages"


def _events(slots: Slots, slot: OwnedSlot) -> str:
    slot.events[0].committed = 10
    slots.feed.settings_changed()
    return "event_pages"


def _parked_events(_slots: Slots, slot: OwnedSlot) -> str:
    slot.events[0].parked[RECIPIENT] = ParkedLane(0.0)
    return "parked_events_of"


def _event(slots: Slots, slot: OwnedSlot) -> str:
    payload = b'{"id":"a","status":"read","timestamp":"1"}'
    slots.receipts.on_events([(slot, Event(3, 7, "status", "a:read:1", RECIPIENT, payload))])
    return "append_events"


def _end(slots: Slots, slot: OwnedSlot) -> str:
    slots.receipts.store(slot, failed("a"), EndOfNothing())
    return "append_endings"


def _progress(slots: Slots, slot: OwnedSlot) -> str:
    slot.messages.settle(1)
    slots.recorder.touch(slot)
    return "record"


def _append(slots: Slots, _slot: OwnedSlot) -> str:
    slots.offer(3)
    return "append"


def _statuses(slots: Slots, slot: OwnedSlot) -> str:
    """A message has waited for too long: did the upstream take it?"""
    slot.opened_at = slots.now() - 10
    slot.lanes.push(LaneEntry(1, an_id(3), RECIPIENT, 0, b"{}", expires=slots.now() - 1))
    return "with_status"


WORK = (
    *(_next_page, _parked, _messages, _events, _parked_events),
    *(_event, _end, _progress, _append, _statuses),
)


@pytest.mark.parametrize("work", WORK)
async def test_the_epoch_ends_and_others_go_on(
    slots: Slots, work: Callable[[Slots, OwnedSlot], str], caplog: pytest.LogCaptureFixture
) -> None:
    slot, other = slots.open(3), slots.open(5)
    slots.journal.fail.add(work(slots, slot))
    loops = slots.loops()
    await soon(lambda: not slot.open or any(loop.done() for loop in loops))
    assert not slot.open
    assert slots.ownership.slots == {5: other}
    slots.offer(5)  # and the rest goes on
    await soon(lambda: slots.appender.appended == 1)
    assert not any(loop.done() for loop in loops)
    [line] = [r for r in caplog.records if r.message == "slot work failed"]
    assert line.levelno == logging.ERROR
    assert line.exc_info
    assert [o.outcome for o in slots.outcomes if o.slot == 3] == [NOT_OWNER] * (work is _append)
    await ended(loops)


async def test_without_the_guard_a_task_ends_unheard(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build without the mechanism: the judge above sees the slot stand still."""
    unheard = lambda work, _failed: asyncio.ensure_future(work)  # noqa: E731
    monkeypatch.setattr("warouter.background.begin", unheard)
    slot, other = slots.open(3), slots.open(5)
    slots.journal.fail.add(_next_page(slots, slot))
    await soon(lambda: not slots.journal.fail)
    other.messages.parked[RECIPIENT], other.claim = ParkedLane(0.0), Claiming.GRANTED
    looks = asyncio.create_task(slots.watch.run())
    await soon(lambda: not other.messages.parked)  # each lane that is due was looked at
    looks.cancel()
    assert slot.open
    assert slot.messages.parked[RECIPIENT].state is LaneState.READING  # for ever


async def test_an_ack_that_fails_takes_nobody_else_s_away(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, other = slots.open(3), slots.open(5)
    acked = asyncio.Event()

    def ack(which: OwnedSlot, _numbers: list[int]) -> None:
        if which is slot:
            raise KeyError("ours")
        acked.set()

    monkeypatch.setattr(slots.receipts, "ack", ack)
    for which in (slot, other):
        payload = b'{"id":"a","status":"read","timestamp":"1"}'
        event = Event(which.slot, 7, "status", f"{which.slot}:read:1", RECIPIENT, payload)
        slots.receipts.on_events([(which, event)])
    loop = asyncio.create_task(slots.receipts.run())
    await soon(lambda: acked.is_set() or loop.done())
    assert not loop.done()
    assert not slot.open
    assert other.open
    loop.cancel()


async def test_an_end_that_cannot_be_settled_is_not_told_and_takes_nobody_else_s_away(
    slots: Slots, pool: asyncpg.Pool
) -> None:
    slot, other = slots.open(3), slots.open(5)

    class Broken(EndOfNothing):
        def settle(self, _slot: OwnedSlot) -> None:
            raise KeyError("ours")

    slots.receipts.store(slot, failed("a"), Broken())
    slots.receipts.store(other, failed("b"), EndOfNothing())
    loop = asyncio.create_task(slots.receipts.run())
    await soon(lambda: other.statuses.committed or loop.done())
    assert not loop.done()
    assert not slot.open
    assert other.open
    assert [row["key"] for row in await pool.fetch("select key from event")] == ["b:failed"]
    loop.cancel()

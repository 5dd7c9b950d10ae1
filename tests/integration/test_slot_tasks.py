"""Errors that nobody foresaw, in work for slots that nobody awaits: the epoch ends, nothing stands.

Each of them once left a recipient, or a slot's callbacks, standing still until the epoch ended for
another reason, or ended the process and with it every other slot.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.wait import PATIENCE, soon
from warouter.app_settings import ApplicationSettings
from warouter.cluster.role import Happened
from warouter.config import Settings, Timing
from warouter.flow.lanes import Entry
from warouter.flow.parking import ParkedLane
from warouter.link.wire import FRAMES, NOT_OWNER, Message, Outcome, parse
from warouter.message_id import mint, text_of
from warouter.owner.appender import Appender
from warouter.owner.callbacks import CallbackFeed
from warouter.owner.events import EventAppender, NewEvent
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.store.nodes import NodeSession, Registration
from warouter.upstream.protocol import Answer, Event

ME = uuid4()
RECIPIENT = "4915112345678"


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


class Slots:
    """What a coreapp has, but for link and upstream; slots are opened by hand."""

    frames = FRAMES[2]

    def __init__(self, settings: Settings, pending: float = math.inf) -> None:
        me = Registration(
            incarnation=ME, name="me", role="coreapp", host="", port=0, version="", pid=0
        )
        self.journal: Any = Clumsy(Journal(settings, ME, "test"))
        session = NodeSession(settings, me, lambda _what: None)
        self.ownership = Ownership(session, self.journal, Timing(), self.now, lambda: True)
        self.recorder = Recorder(self.ownership, self.journal)
        self.feed = CallbackFeed(
            self.ownership, self.journal, self.recorder, ApplicationSettings, settings, self.now
        )
        self.events = EventAppender(
            self.ownership,
            self.journal,
            self.feed.committed,
            lambda _slot, _numbers: None,
            self.recorder.touch,
        )
        self.sender = Sender(
            self.ownership, self.journal, self.recorder, self.events, self.now, pending
        )
        self.appender = Appender(
            self.ownership,
            self.journal,
            self.sender.ready,
            lambda: None,
            self.recorder.touch,
            self.sender.behind,
        )
        self.outcomes: list[Outcome] = []

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def open(self, number: int) -> OwnedSlot:
        slot = self.ownership.slots[number] = OwnedSlot(number, 11)
        slot.happened(Happened.OPENED)
        return slot

    def send(self, frame: bytes) -> None:
        outcome = parse(memoryview(frame))
        assert isinstance(outcome, Outcome)
        self.outcomes.append(outcome)

    def offer(self, number: int) -> None:
        body = memoryview(b"{}")
        self.appender.on_message(self, Message(number, 11, _id(number), 0, RECIPIENT, body))


def _id(number: int) -> bytes:
    return mint(number, 1, bytes(12))


@pytest_asyncio.fixture
async def slots(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Slots]:
    await pool.execute("update slot set owner = $1, epoch = 11 where slot = any ('{3,5}')", ME)
    slots = Slots(settings)
    yield slots
    await slots.journal.close()


def _next_page(slots: Slots, slot: OwnedSlot) -> str:
    """The first page of a parked recipient is sent and answered, and its next page is read."""
    slot.parked[RECIPIENT] = lane = ParkedLane(0.0)
    lane.flying = 1
    slot.lanes.block(RECIPIENT)
    slot.lanes.push(Entry(1, _id(3), RECIPIENT, 0, b"{}", 1, True))
    slot.lanes.take()
    slots.sender.on_upstream(Answer(3, text_of(_id(3))))
    return "parked_of"


def _parked(slots: Slots, slot: OwnedSlot) -> str:
    slot.parked[RECIPIENT] = ParkedLane(0.0)
    slot.claimed = True
    return "parked_of"


def _messages(slots: Slots, slot: OwnedSlot) -> str:
    slot.committed = 10
    for tell in slots.ownership.opened:
        tell(slot)
    return "page"


def _events(slots: Slots, slot: OwnedSlot) -> str:
    slot.events[0].committed = 10
    slots.feed.settings_changed()
    return "event_page"


def _parked_events(_slots: Slots, slot: OwnedSlot) -> str:
    slot.events[0].parked[RECIPIENT] = ParkedLane(0.0)
    return "parked_events_of"


def _event(slots: Slots, slot: OwnedSlot) -> str:
    slots.events.append(slot, NewEvent(0, "a:failed", RECIPIENT, b"{}"), lambda: None)
    return "append_events"


def _progress(slots: Slots, slot: OwnedSlot) -> str:
    slot.settle(1)
    slots.recorder.touch(slot)
    return "record"


def _append(slots: Slots, _slot: OwnedSlot) -> str:
    slots.offer(3)
    return "append"


def _statuses(slots: Slots, slot: OwnedSlot) -> str:
    """A message has waited for too long: did the upstream take it?"""
    slot.opened_at = slots.now() - 10
    slot.lanes.push(Entry(1, _id(3), RECIPIENT, 0, b"{}", expires=slots.now() - 1))
    return "with_status"


WORK = (
    *(_next_page, _parked, _messages, _events, _parked_events),
    *(_event, _progress, _append, _statuses),
)


@pytest.mark.parametrize("work", WORK)
async def test_the_epoch_ends_and_others_go_on(
    slots: Slots, work: Callable[[Slots, OwnedSlot], str], caplog: pytest.LogCaptureFixture
) -> None:
    slot, other = slots.open(3), slots.open(5)
    slots.journal.fail.add(work(slots, slot))
    loops = [
        asyncio.create_task(loop)
        for loop in (
            slots.appender.run(),
            slots.recorder.run(),
            slots.events.run(),
            slots.sender.run_parked(),
            slots.feed.run(),
        )
    ]
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
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


async def test_without_the_guard_a_task_ends_unheard(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build without the mechanism: the judge above sees the slot stand still."""
    unheard = lambda work, _failed: asyncio.ensure_future(work)  # noqa: E731
    monkeypatch.setattr("warouter.background.begin", unheard)
    slot, other = slots.open(3), slots.open(5)
    slots.journal.fail.add(_next_page(slots, slot))
    await soon(lambda: not slots.journal.fail)
    other.parked[RECIPIENT], other.claimed = ParkedLane(0.0), True
    looks = asyncio.create_task(slots.sender.run_parked())
    await soon(lambda: not other.parked)  # each lane that is due was looked at
    looks.cancel()
    assert slot.open
    assert slot.parked[RECIPIENT].flying == -1  # for ever


async def test_an_ack_that_fails_takes_nobody_else_s_away(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, other = slots.open(3), slots.open(5)
    acked = asyncio.Event()

    def ack(which: OwnedSlot, _numbers: list[int]) -> None:
        if which is slot:
            raise KeyError("ours")
        acked.set()

    monkeypatch.setattr(slots.events, "_ack", ack)
    for which in (slot, other):
        payload = b'{"id":"a","status":"read","timestamp":"1"}'
        event = Event(which.slot, 7, "status", f"{which.slot}:read:1", RECIPIENT, payload)
        slots.events.on_event(which, event)
    loop = asyncio.create_task(slots.events.run())
    await soon(lambda: acked.is_set() or loop.done())
    assert not loop.done()
    assert not slot.open
    assert other.open
    loop.cancel()


async def test_one_that_cannot_hear_of_its_event_takes_nobody_else_s_ack_away(
    slots: Slots,
) -> None:
    slot, other = slots.open(3), slots.open(5)
    heard = asyncio.Event()

    def broken() -> None:
        raise KeyError("ours")

    slots.events.append(slot, NewEvent(0, "a:failed", RECIPIENT, b"{}"), broken)
    slots.events.append(other, NewEvent(0, "b:failed", RECIPIENT, b"{}"), heard.set)
    loop = asyncio.create_task(slots.events.run())
    async with asyncio.timeout(PATIENCE):
        await heard.wait()
    assert not slot.open
    assert other.open
    assert not loop.done()
    loop.cancel()

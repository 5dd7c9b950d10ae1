"""The end of a message is one commit: its status, its settlement, and the end of its issue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from tests.harness.wait import soon
from warouter.cluster.role import SlotEvent
from warouter.errors import OutcomeUnknown
from warouter.flow.event import EventRow
from warouter.flow.lanes import LaneEntry
from warouter.flow.progress import Unissued
from warouter.owner import receipts
from warouter.owner.commit import Gather
from warouter.owner.expiry import Ending
from warouter.owner.receipts import Receipts
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import SlotTasks
from warouter.store.journal import FENCED, KNOWN, Exceptions, SlotProgress
from warouter.upstream.protocol import Event

TO = "4915112345678"
ENDLESS = 3_600.0


class Scene:
    """Two slots, each with two messages of one recipient, and the journal that has all commits.

    A commit waits while ``busy``; the next one ends as ``exceptions`` and ``error`` say.
    """

    def __init__(self) -> None:
        me: Any = self
        self.tasks = SlotTasks(self.doubt)
        self.slots = {n: self._slot(n) for n in (3, 5)}
        self.recorder = Recorder(me, me)
        self.receipts = Receipts(me, me, self.recorder, me, me)
        self.commits: list[tuple[str, list[str], list[SlotProgress]]] = []
        self.closed: list[tuple[int, SlotEvent]] = []
        self.idle = asyncio.Event()
        self.idle.set()
        self.exceptions: Exceptions = {}
        self.error: Exception | None = None

    def _slot(self, number: int) -> OwnedSlot:
        slot = OwnedSlot(number, 1)
        slot.happened(SlotEvent.OPENED)
        for seq in (1, 2):
            slot.lanes.push(LaneEntry(seq, bytes([number, seq]), TO, 0, b"{}"))
        slot.lanes.take()
        return slot

    # the journal

    async def append_events(self, owned: Mapping[int, int], rows: Sequence[EventRow]) -> Exceptions:
        await self._commit("events", rows, [])
        return {}

    async def append_endings(
        self, owned: Mapping[int, int], rows: Sequence[EventRow], slots: Sequence[SlotProgress]
    ) -> tuple[Exceptions, set[int]]:
        await self._commit("endings", rows, slots)
        if self.error is not None:
            raise self.error
        fenced = {rows[n].slot for n, outcome in self.exceptions.items() if outcome is FENCED}
        return self.exceptions, set(owned) - fenced

    async def record(self, owned: Mapping[int, int], slots: Sequence[SlotProgress]) -> set[int]:
        await self._commit("record", [], slots)
        return set(owned)

    async def _commit(
        self, what: str, rows: Sequence[EventRow], slots: Sequence[SlotProgress]
    ) -> None:
        self.commits.append((what, [row.key for row in rows], list(slots)))
        await self.idle.wait()

    # the ownership, and whoever settles

    def doubt(self, owned: Mapping[int, int], _why: str) -> None:
        for number in owned:
            self.close(self.slots[number], SlotEvent.DOUBTED)

    def close(self, slot: OwnedSlot, why: SlotEvent) -> None:
        if slot.open:
            slot.happened(why)
            self.closed.append((slot.slot, why))

    def recorded(self, _slots: object) -> None: ...

    def committed(self, _slot: OwnedSlot, _rows: object) -> None: ...

    def ack(self, *_event: object) -> None: ...

    def ended(self, slot: OwnedSlot, entry: LaneEntry) -> None:
        slot.messages.settle(entry.seq)
        slot.messages.note(Unissued(entry.seq))
        self.recorder.touch(slot)

    # what a test does and sees

    def fails(self, number: int, end: Any = None) -> None:
        """The first message of a slot was refused for good."""
        slot = self.slots[number]
        entry = slot.lanes.failed(bytes([number, 1]))
        assert entry is not None
        event = Event(number, 0, "status", f"{number}:failed", TO, b"{}")
        self.receipts.store(slot, event, end or Ending(self, entry))

    def hears(self, number: int, place: int = 7) -> None:
        """A status of another message comes from the upstream; of no inbox with a ``place`` below
        0.
        """
        payload = b'{"id":"a","status":"read","timestamp":"1"}'
        event = Event(number, place, "status", f"{number}:read:1", TO, payload)
        self.receipts.on_events([(self.slots[number], event)])

    def goes(self, number: int) -> list[int]:
        """The messages of a slot that may go now."""
        return [entry.seq for entry in self.slots[number].lanes.take()]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    task = asyncio.create_task(scene.receipts.run())
    yield scene
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_end_is_told_and_settled_in_one_commit(scene: Scene) -> None:
    scene.hears(5)
    scene.fails(3)
    await soon(lambda: scene.receipts.commits)
    [(what, keys, [progress])] = scene.commits
    assert (what, keys) == ("endings", ["5:read:1", "3:failed"])
    assert (progress.slot, progress.messages.mark) == (3, 1)
    assert progress.messages.changes == [Unissued(1)]
    assert not scene.slots[3].dirty
    assert scene.slots[3].recorded == scene.slots[3].records == 1


async def test_nothing_behind_it_goes_before_that_commit_is_on_disk(scene: Scene) -> None:
    """Neither from the lanes nor from the parked table, of which nobody reads before."""
    scene.idle.clear()
    scene.fails(3)
    await soon(lambda: scene.commits)
    flushed = asyncio.create_task(scene.recorder.flush())  # as ParkedLog does before it reads
    await asyncio.sleep(0.01)
    assert scene.goes(3) == []
    assert not flushed.done()
    scene.idle.set()
    await flushed
    assert scene.goes(3) == [2]


async def test_an_end_waits_for_the_record_that_is_under_way(scene: Scene) -> None:
    """That one does not have it; what it says would be undone."""
    scene.idle.clear()
    scene.slots[5].messages.settle(1)
    recorded = asyncio.create_task(scene.recorder.flush())
    await soon(lambda: scene.commits)
    scene.fails(3)
    await asyncio.sleep(0.01)
    assert [what for what, *_ in scene.commits] == ["record"]
    assert not scene.slots[3].messages.cursor.settled(1)
    scene.idle.set()
    await recorded
    await soon(lambda: scene.receipts.commits)
    assert [what for what, *_ in scene.commits] == ["record", "endings"]


async def test_other_events_wait_for_no_record(scene: Scene) -> None:
    async with scene.recorder.turn:
        scene.hears(3)
        await soon(lambda: scene.receipts.commits)
    assert scene.commits == [("events", ["3:read:1"], [])]


async def test_an_event_of_no_inbox_is_one_commit_with_what_moved(scene: Scene) -> None:
    """It may be all that proves what was settled with it."""
    scene.slots[3].messages.settle(1)
    scene.hears(3, -1)
    scene.hears(5, -2)
    await soon(lambda: scene.receipts.commits)
    [(what, keys, [progress])] = scene.commits
    assert (what, keys) == ("endings", ["3:read:1", "5:read:1"])
    assert (progress.slot, progress.messages.mark) == (3, 1)


async def test_an_event_of_no_inbox_waits_for_the_record_that_is_under_way(scene: Scene) -> None:
    """What it proves may be in that, and be lost with it."""
    scene.idle.clear()
    scene.slots[3].messages.settle(1)
    recorded = asyncio.create_task(scene.recorder.flush())
    await soon(lambda: scene.commits)
    scene.hears(3, -1)
    await asyncio.sleep(0.01)
    assert [what for what, *_ in scene.commits] == ["record"]
    scene.idle.set()
    await recorded
    await soon(lambda: scene.receipts.commits)
    assert [what for what, *_ in scene.commits] == ["record", "events"]


async def test_an_event_of_no_inbox_waits_for_nothing_when_nothing_moved(scene: Scene) -> None:
    async with scene.recorder.turn:
        scene.hears(3, -1)
        await soon(lambda: scene.receipts.commits)
    assert scene.commits == [("events", ["3:read:1"], [])]


async def test_a_status_that_is_stored_already_settles_its_message_all_the_same(
    scene: Scene,
) -> None:
    scene.exceptions = {0: KNOWN}
    scene.fails(3)
    await soon(lambda: scene.receipts.commits)
    assert scene.slots[3].open
    assert scene.goes(3) == [2]


async def test_a_slot_that_is_not_ours_any_more_closes(scene: Scene) -> None:
    scene.exceptions = {0: FENCED}
    scene.fails(3)
    scene.fails(5)
    await soon(lambda: scene.receipts.commits)
    assert scene.closed == [(3, SlotEvent.FENCED)]
    assert (scene.goes(3), scene.goes(5)) == ([], [2])


async def test_a_slot_that_closed_while_its_end_waited_is_not_written(scene: Scene) -> None:
    async with scene.recorder.turn:
        scene.fails(3)
        scene.fails(5)
        await soon(lambda: not scene.receipts.queued)
        scene.close(scene.slots[3], SlotEvent.LAPSED)
    await soon(lambda: scene.receipts.commits)
    [(_, keys, [progress])] = scene.commits
    assert (keys, progress.slot) == (["5:failed"], 5)
    assert not scene.slots[3].dirty


async def test_ends_of_unknown_outcome_close_their_slots(scene: Scene) -> None:
    scene.error = OutcomeUnknown("no answer")
    scene.fails(3)
    scene.fails(5)
    await soon(lambda: len(scene.closed) == 2)
    assert dict(scene.closed) == {3: SlotEvent.DOUBTED, 5: SlotEvent.DOUBTED}
    assert (scene.goes(3), scene.goes(5)) == ([], [])


async def test_statuses_straight_from_webhooks_do_not_gather_as_those_of_the_inbox_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receipts, "GATHER", Gather(seconds=ENDLESS, rows=500))
    scene = Scene()
    task = asyncio.create_task(scene.receipts.run())
    scene.hears(5)  # after a pause: committed at once
    await soon(lambda: scene.receipts.commits == 1)
    scene.hears(5)
    await asyncio.sleep(0)
    assert len(scene.commits) == 1
    scene.hears(5, -1)  # it gathered in the webapp
    await soon(lambda: len(scene.commits) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

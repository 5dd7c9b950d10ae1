"""What was just committed: from memory as far as there is room, else read back in its turn."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from tests.harness.journals import RECIPIENT, row
from warouter.flow.log import SlotLog
from warouter.kinds import HOLD, MESSAGE, READ_MARK, kind_with
from warouter.owner import backlog
from warouter.owner.backlog import Backlog
from warouter.owner.expiry import Expiry
from warouter.owner.slot import OwnedSlot

ROOM = 3  # rows in memory
PENDING = 100.0


class Scene:
    """The backlog of one slot; who would send is told which slots to look at."""

    def __init__(self) -> None:
        unused: Any = SimpleNamespace(tasks=None, parked=asyncio.Event())
        expiry = Expiry(unused, unused, lambda: 5.0, PENDING)
        recorder: Any = self
        self.backlog = Backlog(self, unused, unused, recorder, expiry, lambda: 5.0, 0)
        self.slot = OwnedSlot(3, 1)
        self.log = self.slot.messages = SlotLog(self.slot.lanes, ROOM, 1_000)
        self.looked_at = 0
        self.hurries = 0

    def touch(self, _slot: OwnedSlot) -> None:
        """Recorded it is by ``record``."""

    def hurry(self) -> None:
        self.hurries += 1

    def record(self) -> None:
        _, settled = self.log.record_begins()
        self.slot.lanes.recorded(settled)

    def sends(self) -> list[int]:
        return [entry.seq for entry in self.slot.lanes.take()]

    def moved(self, _slot: OwnedSlot) -> None:
        self.looked_at += 1

    def pump(self, _slot: OwnedSlot) -> None:
        """Nothing leaves."""

    def commit(self, *seqs: int, **fields: Any) -> None:
        rows = [row(seq, recipient=f"4915112{seq:05}", **fields) for seq in seqs]
        self.backlog.add(self.slot, rows)

    @property
    def stands(self) -> tuple[int, int, int]:
        """The rows in memory, and how far it knows of rows there and on disk."""
        return self.slot.lanes.waiting, self.log.loaded, self.log.committed


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_rows_go_from_memory_while_there_is_room(scene: Scene) -> None:
    scene.commit(1, 2)
    assert (scene.stands, scene.looked_at) == ((2, 2, 2), 1)
    scene.commit(3, 4, 5)
    assert (scene.stands, scene.looked_at) == ((3, 3, 5), 2)


def test_new_rows_are_not_looked_at_while_memory_is_full(scene: Scene) -> None:
    scene.commit(1, 2, 3)
    scene.commit(4, 5)
    assert (scene.stands, scene.looked_at) == ((3, 3, 5), 1)


def test_a_slot_with_room_and_something_left_on_disk_is_looked_at(scene: Scene) -> None:
    """Somebody has to begin to read it."""
    scene.log.parked.beyond = True
    scene.commit(1, 2)
    assert (scene.stands, scene.looked_at) == ((0, 0, 2), 1)


def test_a_row_in_memory_is_what_was_committed(scene: Scene) -> None:
    scene.commit(1, body=b"one", kind=2)
    scene.commit(2, body=b"two", ttl=7)
    first, second = scene.slot.lanes.take()
    assert (first.seq, first.id, first.recipient) == (1, row(1).id, "491511200001")
    assert (first.kind, bytes(first.body), first.expires, first.timed) == (2, b"one", 105.0, False)
    assert (bytes(second.body), second.expires, second.timed) == (b"two", 12.0, True)


def test_a_read_mark_never_ends_whatever_else_its_kind_says(scene: Scene) -> None:
    scene.commit(1, 2, kind=READ_MARK | 1 << 6)
    scene.commit(3, kind=kind_with(MESSAGE, HOLD, True))
    ends = [entry.expires for entry in scene.slot.lanes.take()]
    assert ends == [math.inf, math.inf, 5.0 + PENDING]


def test_behind_a_parked_row_the_next_is_parked_too(scene: Scene) -> None:
    scene.slot.lanes.block("491511200001")
    scene.commit(1)
    assert scene.stands == (0, 1, 1)
    assert "491511200001" in scene.log.parked
    assert scene.log.cursor.settled(1)


def lane_of(scene: Scene, *seqs: int, **fields: Any) -> None:
    scene.backlog.add(scene.slot, [row(seq, **fields) for seq in seqs])


def test_behind_what_failed_the_next_goes_once_that_is_recorded(scene: Scene) -> None:
    lane_of(scene, 1, 2)
    [head] = scene.slot.lanes.take()
    scene.slot.lanes.failed(head.id)
    scene.record()
    assert scene.sends() == []  # its status is not on disk yet
    scene.backlog.ended(scene.slot, head)
    assert (scene.sends(), scene.hurries) == ([], 1)
    scene.record()
    assert scene.sends() == [2]


def test_of_what_holds_nothing_back_the_record_is_in_no_hurry(scene: Scene) -> None:
    lane_of(scene, 1)
    [head] = scene.slot.lanes.take()
    scene.slot.lanes.failed(head.id)
    scene.backlog.ended(scene.slot, head)
    assert scene.hurries == 0


def test_many_behind_what_failed_make_way(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "LANE_MOST", 1)
    monkeypatch.setattr(backlog, "LANE_MOST_CROWDED", 1)
    lane_of(scene, 1, 2, 3)
    [head] = scene.slot.lanes.take()
    scene.slot.lanes.failed(head.id)
    scene.backlog.ended(scene.slot, head)
    assert scene.slot.lanes.waiting == 0
    assert RECIPIENT in scene.log.parked


def test_a_parked_message_that_ends_holds_back_those_behind_until_its_record(scene: Scene) -> None:
    lane_of(scene, 1)
    [entry] = scene.slot.lanes.block(RECIPIENT)
    late = replace(entry, parked=True)
    scene.backlog.parked.source.release(scene.slot, [late], due=False)
    scene.backlog.parked.source.unblock(scene.slot, RECIPIENT)
    lane_of(scene, 2)
    assert scene.sends() == []
    scene.backlog.ended(scene.slot, late)
    assert (scene.sends(), scene.hurries) == ([], 1)
    scene.record()
    assert scene.sends() == [2]

"""What becomes of messages that the upstream refuses."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.journals import row
from warouter.cluster.role import SlotEvent
from warouter.flow.lanes import LaneEntry
from warouter.kinds import FAIL, HOLD, MEDIA, MESSAGE, READ_MARK, kind_with
from warouter.message_id import text_of
from warouter.owner.expiry import UNKNOWN
from warouter.owner.sender import Sender, SenderParts
from warouter.owner.slot import Claiming, OwnedSlot
from warouter.upstream.protocol import Answer, Send

REFUSED = 1013


class Scene:
    """A sender with one slot; it keeps what is told to the upstream."""

    writable = True

    def __init__(self, sender: type[Sender] = Sender) -> None:
        self.now = 0.0
        self.work: list[Any] = []
        self.events: list[Any] = []
        self.sent: list[int] = []
        self.told: list[str] = []
        self.ends: list[Any] = []
        me: Any = self
        self.tasks = SimpleNamespace(begin_task=lambda _slot, work: self.work.append(work))
        self.parked, self.progress = asyncio.Event(), asyncio.Event()
        self.sender = sender(SenderParts(me, me, me, me, me, me, lambda: self.now), me)
        self.slot = OwnedSlot(3, 1)
        self.slots = {3: self.slot}
        self.slot.happened(SlotEvent.OPENED)
        self.slot.claim = Claiming.GRANTED

    # ownership, recorder, receipts, attachments, claims, upstream

    def may_act(self, _slot: int) -> bool:
        return True

    def progressed(self) -> None: ...

    def touch(self, _slot: OwnedSlot) -> None: ...

    def hurry(self) -> None: ...

    def store(self, _slot: OwnedSlot, event: Any, end: Any) -> None:
        self.events.append(event)
        self.ends.append(end)

    async def with_status(self, _ids: list[str]) -> set[str]:
        return set()

    def prepared(self, _slot: OwnedSlot, entries: Any, _sender: Sender) -> Any:
        return [(entry, ()) for entry in entries]

    def tell(self, message: Send) -> None:
        self.sent.append(message.seq)
        self.told.append(message.kind)

    # what happens

    def commit(self, *seqs: int, **fields: Any) -> None:
        for seq in seqs:
            of = {"recipient": f"4915112{seq:05}"} | fields
            self.sender.committed(self.slot, [row(seq, **of)])
        self.sender.pump_moved()

    def answer(self, seq: int, code: int = 0) -> None:
        text = text_of(row(seq).id)
        self.sender.on_answer(self.slot, row(seq).id, Answer(3, text, code))


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_behind_a_refused_one_the_next_waits_for_the_record(scene: Scene) -> None:
    scene.commit(1, 2, recipient="4915112345678")
    scene.answer(1, REFUSED)
    scene.sender.pump(scene.slot)
    scene.ends[0].settle(scene.slot)
    scene.sender.pump(scene.slot)
    assert scene.sent == [1]
    _, settled = scene.slot.messages.record_begins()
    scene.slot.lanes.recorded(settled)
    scene.sender.pump(scene.slot)
    assert scene.sent == [1, 2]


async def test_options_make_no_other_message_of_it(scene: Scene) -> None:
    """Nor do bits that only a later build knows make a message of a read mark."""
    asked = kind_with(MESSAGE, HOLD, True), kind_with(MEDIA, FAIL), READ_MARK, READ_MARK | 1 << 6
    for seq, kind in enumerate(asked, 1):
        scene.commit(seq, kind=kind)
    assert scene.told == ["message", "message", "read", "read"]
    for seq in range(1, 5):
        scene.answer(seq, REFUSED)
    assert [ending.entry.seq for ending in scene.ends] == [1, 2]  # read marks have no status


class Unsure(Sender):
    """As with an upstream that cannot be told again."""

    def unknown(self, _slot: OwnedSlot, _entry: LaneEntry) -> bool:
        return True


@pytest.mark.parametrize(("sender", "details"), [(Sender, "the ttl passed"), (Unsure, UNKNOWN)])
async def test_a_sender_says_whether_the_outcome_is_unknown(
    sender: type[Sender], details: str
) -> None:
    scene = Scene(sender)
    scene.writable = False
    scene.commit(1, ttl=5)
    scene.writable, scene.now = True, 6.0
    scene.sender.pump(scene.slot)
    [work] = scene.work
    await work
    [event] = scene.events
    assert details in event.payload.decode()

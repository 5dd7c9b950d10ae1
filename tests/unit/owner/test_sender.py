"""What becomes of messages that the upstream refuses."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.journals import row
from warouter.cluster.role import Happened
from warouter.message_id import text_of
from warouter.owner.sender import Sender
from warouter.owner.slot import Claiming, OwnedSlot
from warouter.upstream.protocol import Answer, Send

REFUSED = 1013


class Scene:
    """A sender with one slot; it keeps what is told to the upstream."""

    writable = True

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.stored: list[Any] = []
        me: Any = self
        self.tasks = SimpleNamespace(begin=lambda _slot, _work: None)
        self.parked, self.progress = asyncio.Event(), asyncio.Event()
        self.sender = Sender(me, me, me, me, me, me, me, lambda: 0.0)
        self.slot = OwnedSlot(3, 1)
        self.slots = {3: self.slot}
        self.slot.happened(Happened.OPENED)
        self.slot.claim = Claiming.GRANTED

    # ownership, recorder, receipts, attachments, claims, upstream

    def may_act(self, _slot: int) -> bool:
        return True

    def progressed(self) -> None: ...

    def touch(self, _slot: OwnedSlot) -> None: ...

    def hurry(self) -> None: ...

    def store(self, _slot: OwnedSlot, _event: Any, told: Any) -> None:
        self.stored.append(told)

    def prepared(self, _slot: OwnedSlot, entries: Any, _sender: Sender) -> Any:
        return [(entry, ()) for entry in entries]

    def tell(self, message: Send) -> None:
        self.sent.append(message.seq)

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
    scene.stored[0].stored(scene.slot)
    scene.sender.pump(scene.slot)
    assert scene.sent == [1]
    _, settled = scene.slot.messages.record_begins()
    scene.slot.lanes.recorded(settled)
    scene.sender.pump(scene.slot)
    assert scene.sent == [1, 2]

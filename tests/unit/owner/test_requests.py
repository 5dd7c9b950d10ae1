"""What the answer to a request means for its message: how long it waits until it goes again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec

from tests.harness.cloud_number import some_number
from warouter.flow.doubt.events import RequestBegun, RowAsked, RowStored
from warouter.flow.doubt.states import Issue
from warouter.flow.lanes import LaneEntry
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.rate.pace import Pace
from warouter.owner.cloud.requests import Requests
from warouter.owner.slot import GRANTED, OwnedSlot
from warouter.upstream.cloud.answers import judge
from warouter.upstream.cloud.graph.client import MessagePost
from warouter.upstream.protocol import Answer

ID = bytes(20)
AWAY, PAIR = 131016, 131056

NUMBER = some_number()


class Scene:
    """One slot with a message that is out, whoever asks for its answer, and its sender."""

    def __init__(self) -> None:
        me: Any = self
        self.now = 0.0
        self.waits: list[int] = []
        self.slot = OwnedSlot(3, 1)
        self.slot.claim = GRANTED
        self.slots = {3: self.slot}
        pace = Pace(NUMBER, 100.0, lambda: self.now)
        parts: Any = SimpleNamespace(ownership=me, journal=me, recorder=me, clock=lambda: self.now)
        ways = ("upstream", "rules", "proving", "words", "learned", "stop", "acks")
        cloud: Any = SimpleNamespace(pace=pace, until_sent=False, **dict.fromkeys(ways, self))
        self.doubts = Doubts(me, me, me, me, me, pace.brake, lambda: self.now)
        self.requests = Requests(parts, cloud, me, self.doubts, me)
        self.slot.issues[ID] = Issue(7, ID, "49151")
        self.slot.lanes.push(LaneEntry(7, ID, "49151", 0, b"{}"))
        self.begins()

    # the upstream, what was learned, the recorder, the sender

    def note(self, _judged: Any, _recipient: str | None, _of: Any) -> None: ...

    def touch(self, _slot: Any) -> None: ...

    def next_look(self, _issue: Issue, now: float) -> float:
        return now

    def look_again(self, _slot: Any) -> None: ...

    def on_answer(self, slot: OwnedSlot, message_id: bytes, answer: Answer) -> None:
        self.waits.append(answer.retry_ms)
        slot.lanes.retry(message_id, self.now + answer.retry_ms / 1000)

    def begins(self) -> None:
        self.slot.lanes.due(self.now)
        assert self.slot.lanes.take()
        for event in (RowAsked(), RowStored(), RequestBegun()):
            self.doubts.tell(self.slot, self.slot.issues[ID], event)

    def is_refused(self, code: int) -> int:
        """With this code of Meta's: after so many ms it goes again, and it does."""
        body = msgspec.json.encode({"error": {"code": code}})
        post = MessagePost(NUMBER, 3, 1, ID, self.slot.issues[ID].attempt, b"")
        self.requests.on_judged(post, judge(400, body), b"")
        self.now += self.waits[-1] / 1000
        self.begins()
        return self.waits[-1]


async def test_a_recipient_with_too_many_messages_waits_four_times_as_long_each_time() -> None:
    scene = Scene()
    assert [scene.is_refused(PAIR) for _ in range(3)] == [1_000, 4_000, 16_000]


async def test_other_refusals_do_not_lengthen_the_pair_limits_wait() -> None:
    """The other side was away for a while: then 4^n s would be an hour for one message too many."""
    scene = Scene()
    for _ in range(6):
        scene.is_refused(AWAY)
    assert scene.is_refused(PAIR) == 1_000
    scene.is_refused(AWAY)
    assert scene.is_refused(PAIR) == 4_000

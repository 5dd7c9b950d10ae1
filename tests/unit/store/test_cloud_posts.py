"""What a listener says of itself, on a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from warouter.store.cloud.posts import Posts
from warouter.store.cloud.receive import ListenerState, WebhookInbox, Written
from warouter.upstream.cloud.batch import INBOUND, Batch, Element


class Memory(WebhookInbox):
    """Statements that are not sent."""

    def __init__(self) -> None:
        self.said: list[ListenerState | None] = []

    async def write(
        self,
        elements: Sequence[Element],
        said: ListenerState | None,
        learned: Sequence[Element] = (),
    ) -> Written:
        self.said.append(said)
        return Written(len(elements), 0, 0)


class Scene:
    def __init__(self) -> None:
        self.inbox = Memory()
        self.posts = Posts(self.inbox)
        self.now = 100.0
        self.posts._clock = lambda: self.now
        self.posts._touched = self.now

    async def after(self, seconds: float, inbound: int) -> ListenerState | None:
        """What is said with so many inbound messages, so long after the last ones."""
        self.now += seconds
        element = Element(kind=INBOUND, key="k", raw=b"{}", timestamp=1764000000)
        taken = asyncio.ensure_future(
            self.posts.take(Batch(elements=[element] * inbound, newest=1764000000))
        )
        running = asyncio.ensure_future(self.posts.run())
        assert await taken
        running.cancel()
        return self.inbox.said[-1]


async def test_trouble_is_reported_once_a_second() -> None:
    scene = Scene()
    assert await scene.after(0.2, 1) is None
    assert await scene.after(0.9, 1) is not None
    assert await scene.after(0.2, 1) is None


async def test_a_vain_answer_is_reported_at_once_and_once() -> None:
    scene = Scene()
    scene.posts.broken()
    said = await scene.after(0.1, 1)
    assert said is not None
    assert said.broken
    assert await scene.after(0.1, 1) is None
    said = await scene.after(1.0, 1)
    assert said is not None
    assert not said.broken


async def test_the_rate_of_inbound_messages_follows_within_ten_seconds() -> None:
    scene = Scene()
    for _ in range(40):
        said = await scene.after(1.0, 50)
    assert said is not None
    assert said.inbound == pytest.approx(50, rel=0.05)
    assert said.newest == 1764000000
    for _ in range(10):
        said = await scene.after(1.0, 1)
    assert said is not None
    assert said.inbound == pytest.approx(50 / 2.72 + 0.6, rel=0.1)

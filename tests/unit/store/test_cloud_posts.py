"""What a listener says of itself, on a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.harness.wait import soon
from warouter.link.offers import StatusOffers
from warouter.link.wire import OfferedStatus
from warouter.message_id import mint
from warouter.store.cloud import posts
from warouter.store.cloud.posts import Posts
from warouter.store.cloud.receive import ListenerState, WebhookInbox, Written
from warouter.upstream.cloud.batch import INBOUND, STATUS, Batch, Element
from warouter.upstream.cloud.reference import reference


class Memory(WebhookInbox):
    """Statements that are not sent."""

    def __init__(self) -> None:
        self.said: list[ListenerState | None] = []
        self.written: list[tuple[int, int]] = []  # elements, and what only tells of users

    def is_news(self, element: Element) -> bool:
        return True

    async def write(
        self,
        elements: Sequence[Element],
        said: ListenerState | None,
        learned: Sequence[Element] = (),
    ) -> Written:
        self.said.append(said)
        self.written.append((len(elements), len(learned)))
        return Written(len(elements), 0, 0)


class Owners(StatusOffers):
    """Who store all they are offered."""

    def __init__(self) -> None:
        pass

    async def offer(self, statuses: Sequence[OfferedStatus]) -> set[tuple[int, str]]:
        return {status.unique for status in statuses}


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


def status(n: int) -> Batch:
    """A webhook with a status that its owner stores."""
    named = reference(mint(n, 1_764_000_000_000, bytes(12)), 1)
    element = Element(kind=STATUS, key=f"s{n}", raw=b"{}", status="sent", reference=named)
    return Batch(elements=[element])


async def test_news_of_users_gather_until_there_is_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(posts, "GATHER_SECONDS", 3600.0)
    inbox = Memory()
    listener = Posts(inbox, Owners())
    running = asyncio.create_task(listener.run())
    taken = [asyncio.create_task(listener.take(status(n))) for n in range(2)]
    await soon(lambda: len(listener._waiting) == 2)
    await asyncio.sleep(0)
    assert inbox.written == []
    element = Element(kind=INBOUND, key="k", raw=b"{}", timestamp=1764000000)
    taken.append(asyncio.create_task(listener.take(Batch(elements=[element]))))
    assert await asyncio.gather(*taken) == [True] * 3
    assert inbox.written == [(1, 2)]
    monkeypatch.setattr(posts, "GATHER_SECONDS", 0.01)
    assert await listener.take(status(3))
    assert inbox.written == [(1, 2), (0, 1)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

"""POSTs on their way: gathered, repeated, given up; times are said by the test."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from warouter.lab.simulator.cloud.counters import WebhookCounters
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.webhooks.envelope import WebhookElement
from warouter.lab.simulator.cloud.webhooks.outbox import Outbox, WebhookPost


def pack(elements: Sequence[WebhookElement]) -> bytes:
    return b",".join(element.raw for element in elements)


class Box:
    def __init__(self, **switches: Any) -> None:
        self.counters = WebhookCounters()
        self.told: list[tuple[list[int], float]] = []
        self.box = Outbox(
            pack,
            lambda: self.counters,
            Random(1),
            lambda rows, at: self.told.append((list(rows), at)),
        )
        self.box.use(CloudFaults().changed({"gather_ms": 0} | switches))

    def add(self, *names: str, now: float = 0.0) -> None:
        for name in names:
            self.box.add(WebhookElement("statuses", name.encode()), now)

    def leaving(self, now: float) -> list[str]:
        """What leaves and is answered at once."""
        return [self._answered(post, now) for post in self.box.leaving(now)]

    def failing(self, now: float) -> list[str]:
        posts = self.box.leaving(now)
        for post in posts:
            self.box.done(post, answered=False, now=now)
        return [post.body.decode() for post in posts]

    def _answered(self, post: WebhookPost, now: float) -> str:
        self.box.done(post, answered=True, now=now)
        return post.body.decode()


def test_elements_gather_and_leave_together() -> None:
    box = Box(gather_ms=20)
    box.add("a", "b")
    assert box.leaving(0.019) == []
    box.add("c", now=0.019)
    assert box.leaving(0.02) == ["a,b,c"]
    assert (box.counters.sent, box.counters.acknowledged, box.counters.elements) == (1, 1, 3)
    assert len(box.box) == 0


def test_a_full_batch_leaves_at_once() -> None:
    box = Box(gather_ms=20, batch=2)
    box.add(*"abcde")
    assert box.leaving(0.0) == ["a,b", "c,d"]
    assert box.leaving(0.02) == ["e"]


def test_a_post_has_at_most_three_megabytes() -> None:
    box = Box(batch=1000)
    names = [str(n) * 400_000 for n in range(5)] + ["x" * 1_000_000, "y"]
    box.add(*names)
    assert [len(post) for post in box.leaving(0.0)] == [800_001, 800_001, 400_000, 1_000_000, 1]


def test_no_more_posts_than_allowed_run_at_once() -> None:
    box = Box(batch=1, posts=2)
    box.add(*"abc")
    first, second = box.box.leaving(0.0)
    assert box.box.leaving(0.0) == []
    box.box.done(first, answered=True, now=0.0)
    assert [post.body for post in box.box.leaving(0.0)] == [b"c"]
    box.box.done(second, answered=True, now=0.0)


def test_a_failed_post_comes_again_as_it_was_after_newer_ones_and_waits_twice_as_long() -> None:
    box = Box(retry_ms=5000)
    box.add("a")
    assert box.failing(0.0) == ["a"]
    box.add("b", now=1.0)
    assert box.leaving(1.0) == ["b"]
    assert box.leaving(3.99) == []
    assert box.failing(6.01) == ["a"], "5 s, between 80 and 120 %"
    assert box.leaving(6.01 + 7.9) == []
    assert box.leaving(6.01 + 12.01) == ["a"], "10 s"
    counters = box.counters
    assert (counters.sent, counters.retried, counters.failed) == (2, 2, 2)


def test_waits_have_a_longest() -> None:
    box = Box(retry_ms=1000, retry_most_s=2)
    box.add("a")
    now = 0.0
    for _ in range(10):
        assert box.failing(now) == ["a"]
        now += 2.41
    assert box.leaving(now) == ["a"]


def test_a_post_is_given_up_after_its_time() -> None:
    box = Box(retry_ms=1000, give_up_s=1)
    box.add("a")
    assert box.failing(0.0) == ["a"]
    assert box.failing(1.2) == ["a"]
    assert box.leaving(1e6) == []
    assert (box.counters.dead, len(box.box)) == (1, 0)


def test_an_outage_fails_all_posts_or_every_second_one() -> None:
    box = Box(batch=1, retry_ms=1000)
    box.box.outage(10.0)
    box.add("a", "b")
    assert box.leaving(0.0) == []
    assert (box.counters.failed, box.counters.acknowledged) == (2, 0)
    assert sorted(box.leaving(20.0)) == ["a", "b"]
    box = Box(batch=1, outage_every=2)
    box.box.outage(10.0)
    box.add(*"abcd")
    assert box.leaving(0.0) == ["a", "c"]
    assert sorted(box.leaving(20.0)) == ["b", "d"]


def test_a_second_app_gets_the_same_at_once() -> None:
    box = Box(second_app=1.0)
    box.add("a")
    assert box.leaving(0.0) == ["a", "a"]


def test_a_repeat_comes_later() -> None:
    box = Box(repeat=1.0, repeat_ms=100)
    box.add("a")
    assert box.leaving(0.0) == ["a"]
    assert box.leaving(0.09) == []
    assert box.leaving(0.11) == ["a"]
    assert box.leaving(9.0) == []


def test_stragglers_come_after_newer_ones() -> None:
    box = Box(straggle=0.5, straggle_ms=2000)
    names = [f"{n:02d}" for n in range(40)]
    for name in names:
        box.add(name)
    came = ",".join(box.leaving(0.0)).split(",")
    for tick in range(41):
        came += [n for post in box.leaving(tick * 0.05) for n in post.split(",")]
    assert sorted(came) == names
    assert came != names


def test_the_business_has_heard_of_what_it_acknowledged() -> None:
    box = Box(retry_ms=1000)
    box.box.add(WebhookElement("statuses", b"a", row=3), 0.0)
    box.box.add(WebhookElement("messages", b"b"), 0.0)
    box.failing(0.0)
    assert box.told == []
    box.leaving(2.0)
    assert box.told == [([3], 2.0)]


def test_held_back_webhooks_come_at_once_in_any_order() -> None:
    box = Box(batch=1, posts=100)
    box.box.hold(10.0)
    box.add(*"abcdefgh")
    assert (box.leaving(9.99), len(box.box)) == ([], 8)
    found = box.leaving(10.0)
    assert sorted(found) == [*"abcdefgh"] != found
    box.add("a", "b", now=11.0)
    assert box.leaving(11.0) == ["a", "b"]

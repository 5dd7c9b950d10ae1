"""Callbacks to a real receiver on loopback: who gets what, in which order, and who may send."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.callbacks import (
    Logged,
    Owner,
    accepted,
    event,
    idle,
    ids,
    recipient_of,
    running,
    settings_of,
    shared,
    spread,
)
from tests.harness.receiver import Post, Receiver
from warouter import __version__
from warouter.flow.event import EventRow
from warouter.kinds import INBOUND, STATUS
from warouter.registered_webhook import RegisteredWebhook
from warouter.webhook import callbacks as webhook
from warouter.webhook import exchange
from warouter.webhook.callbacks import BATCH_EVENTS, Callbacks
from warouter.webhook.post_record import PostResult


class TestDelivery:
    async def test_the_v1_body_and_headers(self, owner: Owner, receiver: Receiver) -> None:
        async with running(owner) as callbacks:
            callbacks.add([event(1, "a")])
            callbacks.add([event(2, "b", kind=INBOUND)])
            callbacks.add([event(3, "b", kind=INBOUND)])
            await owner.all_settled(3)
            assert callbacks.queue_size == 0
        assert sorted((post.json for post in receiver.posts), key=len) == [
            {"statuses": [{"id": "a.1"}]},
            {"contacts": [{"wa_id": "b"}], "messages": [{"id": "b.2"}, {"id": "b.3"}]},
        ]
        for request in receiver.posts:
            assert request.method == "POST"
            assert request.path == "/hook"
            assert request.headers["Content-Type"] == "application/json"
            assert request.headers["User-Agent"] == f"warouter/{__version__}"
            assert "Content-Length" in request.headers
            assert not [n for n in request.headers if n.lower().startswith("webhook-")]  # unsigned
        assert callbacks.delivered == {"status_change": 1, "inbound_message": 2}
        assert callbacks.requests == {
            PostResult("status_change", "success"): 1,
            PostResult("inbound_message", "success"): 1,
        }

    @pytest.mark.parametrize("status", [200, 201, 204, 299])
    async def test_any_2xx_is_success(self, owner: Owner, receiver: Receiver, status: int) -> None:
        receiver.answer = status
        async with running(owner) as callbacks:
            callbacks.add([event(1)])
            await owner.all_settled(1)
        assert len(receiver.posts) == 1

    async def test_waiting_events_share_posts(self, owner: Owner, receiver: Receiver) -> None:
        async with running(owner) as callbacks:
            for each in spread(3 * BATCH_EVENTS):
                callbacks.add([each])
            await owner.all_settled(3 * BATCH_EVENTS)
        assert [len(post.events) for post in receiver.posts] == [BATCH_EVENTS] * 3

    async def test_a_registered_webhook_gets_one_event_a_post_in_order(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        many, each = 40, 5
        release = asyncio.Event()

        async def hold(_post: Post) -> int:
            await release.wait()
            return 200

        receiver.answer = hold
        async with running(owner) as callbacks:
            callbacks.settings_changed(RegisteredWebhook(owner.settings.webhooks.url, {"X-K": "k"}))
            for number in range(each):
                callbacks.add([event(number, f"r{n}") for n in range(many)])
                callbacks.add([event(number, f"i{n}", kind=INBOUND) for n in range(many)])
            await owner.until(lambda: receiver.open == 6)  # every place is used
            release.set()
            await owner.all_settled(2 * many * each)
        assert [len(post.events) for post in receiver.posts] == [1] * (2 * many * each)
        assert all(post.headers["X-K"] == "k" for post in receiver.posts)
        assert receiver.peak == 6
        assert shared(receiver) == []
        for recipient in (f"{kind}{n}" for kind in "ri" for n in range(many)):
            mine = [one for one in ids(receiver.posts) if one.startswith(f"{recipient}.")]
            assert mine == [f"{recipient}.{number}" for number in range(each)]
        assert all(
            post.json["contacts"] == [{"wa_id": recipient_of(post.events[0])}]
            for post in receiver.posts
            if "messages" in post.json
        )

    async def test_a_registration_of_another_url_does_not_count(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        async with running(owner) as callbacks:
            callbacks.settings_changed(RegisteredWebhook(owner.settings.webhooks.url, {"X-K": "k"}))
            callbacks.add([event(1, "a"), event(1, "b")])
            await owner.all_settled(2)
            callbacks.settings_changed(RegisteredWebhook("https://other.example", {"X-K": "other"}))
            callbacks.add([event(2, "a"), event(2, "b")])
            await owner.all_settled(4)
        assert [len(post.events) for post in receiver.posts] == [1, 1, 2]
        assert [post.headers.get("X-K") for post in receiver.posts] == ["k", "k", None]

    async def test_places_are_bounded_and_shared(self, owner: Owner, receiver: Receiver) -> None:
        release = asyncio.Event()

        async def hold(_post: Post) -> int:
            await release.wait()
            return 200

        receiver.answer = hold
        many = 12 * BATCH_EVENTS
        async with running(owner) as callbacks:
            for each in spread(many):
                callbacks.add([each])
            await owner.until(lambda: receiver.open == 5)  # one place is kept
            for each in spread(many, kind=INBOUND, prefix="i"):
                callbacks.add([each])
            await owner.until(lambda: receiver.open == 6)
            assert sum("messages" in post.json for post in receiver.posts) == 1
            release.set()
            await owner.all_settled(2 * many)
        assert receiver.peak == 6
        assert sorted(owner.ids()) == sorted(ids(receiver.posts))

    async def test_order_and_completeness_with_an_unreliable_receiver(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        chance = random.Random(7)
        stubborn = {"r5.10": 4, "r50.3": 4}  # refused alone so often

        def answer(post: Post) -> int:
            names = ids([post])
            refused = [name for name in names if stubborn.get(name)]
            if len(names) == 1:
                stubborn.update({name: stubborn[name] - 1 for name in refused})
            return 503 if refused or chance.random() < 0.4 else 200

        receiver.answer = answer
        owner.retries_at_once = True
        lanes = {f"r{n}": [f"r{n}.{i}" for i in range(30)] for n in range(100)}
        async with running(owner) as callbacks:
            for i in range(30):
                for recipient in lanes:
                    callbacks.add([event(i, recipient)])
            await owner.all_settled(3_000)
        taken = defaultdict(list)
        for name in ids(accepted(receiver)):
            taken[name.partition(".")[0]].append(name)
        assert taken == lanes
        assert Counter(owner.ids()) == Counter(name for own in lanes.values() for name in own)
        assert shared(receiver) == []
        assert not any(stubborn.values())

    async def test_events_wait_without_a_url_and_go_once_there_is_one(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        url, owner.settings = receiver.url, settings_of("")
        async with running(owner) as callbacks:
            callbacks.add([event(1)])
            for _ in range(5):
                await asyncio.sleep(0)
            assert callbacks.queue_size == callbacks.waiting_of(0) == 1
            owner.settings = settings_of(url)
            callbacks.settings_changed()
            await owner.all_settled(1)
        assert owner.parked == owner.dead == []

    @pytest.mark.parametrize(
        ("url", "options"),
        [
            ("ftp://example.org/", {}),
            ("http://127.0.0.1:{port}/", {"allow_private": ()}),
            ("http://localhost:{port}/", {"allow_private": ()}),
            ("http://[::1]:{port}/", {"allow_private": ()}),
            ("http://10.0.0.1:{port}/", {"allow_private": ()}),
            ("http://169.254.169.254:{port}/", {"allow_private": ()}),
            ("http://2130706433:{port}/", {"allow_private": ()}),
            ("http://127.0.0.1:{port}/", {"allow_http": False}),
        ],
    )
    async def test_an_unusable_url_is_warned_of_and_everything_waits(
        self, owner: Owner, receiver: Receiver, logged: Logged, url: str, options: dict[str, Any]
    ) -> None:
        owner.settings = settings_of(url.format(port=receiver.port))
        async with running(owner, **options) as callbacks:
            callbacks.add([event(1)])
            for _ in range(5):
                await asyncio.sleep(0)
            assert callbacks.queue_size == 1
        assert logged() == [("WARNING", "webhook URL rejected")]
        assert receiver.posts == []

    async def test_an_error_of_the_owner_stays_with_its_slots(self, owner: Owner) -> None:
        """Nobody else's callbacks stop for it, and the slot goes on once it is begun anew."""
        record = owner.on_settled

        def broken(items: list[EventRow]) -> None:
            if items[0].slot == 1 and not owner.broken:
                raise RuntimeError("cannot record")
            record(items)

        owner.on_settled = broken
        async with running(owner) as callbacks:
            callbacks.add([event(1, "r1", slot=1)])
            await owner.until(lambda: owner.broken)
            callbacks.add([event(2, "r2", slot=2)])
            callbacks.add([event(3, "r1", slot=1)])  # read again by the next epoch
            await owner.until(lambda: len(owner.settled) == 2)
        [(slots, error)] = owner.broken
        assert slots == {1}
        assert str(error) == "cannot record"
        assert sorted(owner.ids()) == ["r1.3", "r2.2"]

    async def test_an_error_before_the_post_takes_no_place_away(
        self, owner: Owner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Six of them, and there were no places left for anybody."""

        def odd(*_arguments: Any) -> None:
            raise KeyError("odd")

        async with running(owner) as callbacks:
            with monkeypatch.context() as patch:
                patch.setattr(webhook, "signed", odd)
                for number in range(1, 9):
                    callbacks.add([event(number, f"r{number}", slot=3)])
                    await owner.until(lambda n=number: len(owner.broken) == n)
                    assert callbacks.in_flight_of(3) == 0  # or a handover would wait for it
            callbacks.add([event(100, "x", slot=3)])
            await owner.all_settled(1)
            assert callbacks.queue_size == 0

    async def test_a_post_that_raises_what_nobody_foresaw_is_a_failure(
        self, owner: Owner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def odd(*_arguments: Any, **_named: Any) -> None:
            raise KeyError("odd")

        monkeypatch.setattr(exchange, "_drained", odd)
        async with running(owner) as callbacks:
            callbacks.add([event(1)])
            await owner.until(lambda: owner.settled)  # its status had come: that alone decides
        assert not owner.broken


class TestHanging:
    """More recipients whose POSTs hang than there are places: everybody else is served."""

    HANGING = 8

    async def hang(self, post: Post) -> int:
        """As a receiver does that waits for something of these customers, and of no others."""
        if any(name.startswith("bad") for name in map(recipient_of, post.events)):
            await self.released.wait()
        return 200

    @pytest.fixture(autouse=True)
    def release(self) -> Iterator[None]:
        self.released = asyncio.Event()
        yield
        self.released.set()

    def tried_again(self, callbacks: Callbacks) -> None:
        """Each was parked, and its time has come."""
        for n in range(self.HANGING):
            callbacks.block(0, f"bad{n}", STATUS)
            callbacks.add([event(n, f"bad{n}", attempts=1, first_at=time.monotonic())])

    async def test_those_that_failed_before_leave_places_to_all_others(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        receiver.answer = self.hang
        async with running(owner, timeout=60.0) as callbacks:
            self.tried_again(callbacks)
            await owner.until(lambda: receiver.open == 2)  # of five places for statuses
            for each in spread(50):
                callbacks.add([each])
            await owner.until(lambda: len(owner.settled) == 50)
            assert receiver.open == 2  # nobody waited for a time-out
            assert not shared(receiver)
            self.released.set()
            await owner.until(lambda: len(owner.settled) == 50 + self.HANGING)

    async def test_without_the_suspicion_they_take_every_place(
        self, owner: Owner, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The build without the mechanism: the judge above finds nobody served."""
        monkeypatch.setattr(Callbacks, "_may_hang", lambda _self, _kind: True)
        receiver.answer = self.hang
        async with running(owner, timeout=60.0) as callbacks:
            self.tried_again(callbacks)
            await owner.until(lambda: receiver.open == 5)
            callbacks.add([event(1)])
            posts = len(receiver.posts)
            await asyncio.sleep(0.3)
            assert (len(receiver.posts), owner.settled) == (posts, [])
            self.released.set()
            await owner.until(lambda: len(owner.settled) == 1 + self.HANGING)

    async def test_those_that_hang_are_found_and_the_others_of_their_posts_delivered(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        """One time-out finds each recipient of a POST that hung, and not one for each half."""
        receiver.answer = self.hang
        events = [*spread(40), *spread(3, prefix="bad")]
        random.Random(3).shuffle(events)
        async with running(owner, timeout=1.0) as callbacks:
            for each in events:
                callbacks.add([each])
            await owner.until(lambda: len(owner.settled) == 40 and len(owner.parked) == 3)
        assert not any(name.startswith("bad") for name in owner.ids())
        assert callbacks.requests[PostResult("status_change", "timeout")] == 1 + 3


class TestOwnership:
    async def test_a_slot_without_a_lease_is_not_even_connected_for_until_it_holds_again(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        await receiver.stop()
        owner.held = {1}
        async with running(owner) as callbacks:
            callbacks.add([event(1, "a", slot=1)])
            callbacks.add([event(2, "b", slot=2)])
            await owner.until(lambda: owner.parked)
            assert callbacks.requests == {PostResult("status_change", "connection"): 1}
            assert callbacks.waiting_of(1) == 1
            await receiver.start(receiver.port)
            owner.held = set()
            await owner.all_settled(1)
        assert ids(receiver.posts) == ["a.1"]
        assert [item.slot for items, _, _ in owner.parked for item in items] == [2]

    async def test_a_lease_that_ends_before_the_request_is_written_stops_it(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        asked = []

        def may_act(slot: int) -> bool:
            """It holds when the event is taken, and no longer once there is a connection."""
            asked.append(slot)
            return len(asked) == 1 or slot not in owner.held

        owner.held = {0}
        async with running(owner, may_act=may_act) as callbacks:
            callbacks.add([event(1)])
            await owner.until(lambda: len(asked) > 1 and idle(callbacks))
            assert receiver.posts == []
            owner.held = set()
            await owner.all_settled(1)
            assert callbacks.requests == {PostResult("status_change", "success"): 1}
        assert ids(receiver.posts) == ["49170.1"]
        assert owner.parked == []

    async def test_results_of_a_lost_slot_are_not_reported(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        release = asyncio.Event()

        async def hold(_post: Post) -> int:
            await release.wait()
            return 200

        receiver.answer = hold
        async with running(owner) as callbacks:
            callbacks.add([event(1, "a", slot=1)])
            callbacks.add([event(3, "c", slot=2)])
            await owner.until(lambda: receiver.open == 1)
            callbacks.forget(1)
            callbacks.add([event(2, "b", slot=2)])
            callbacks.add([event(1, "a", slot=1)])  # owned again: the journal is read anew
            release.set()
            await owner.until(lambda: len(accepted(receiver)) == 3 and idle(callbacks))
        assert Counter(owner.ids()) == {"b.2": 1, "a.1": 1, "c.3": 1}
        assert Counter(ids(receiver.posts)) == {"b.2": 1, "a.1": 2, "c.3": 1}

    async def test_parked_lanes_of_a_new_epoch_are_blocked_per_kind(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        async with running(owner) as callbacks:
            callbacks.block(0, "a", STATUS)
            callbacks.add([event(1, "a")])
            callbacks.add([event(2, "a", kind=INBOUND)])
            await owner.all_settled(1)
        assert ids(receiver.posts) == ["a.2"]
        assert [item.seq for items, _, _ in owner.parked for item in items] == [1]

    async def test_cancelling_loses_nothing_of_what_was_on_its_way(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        never = asyncio.Event()
        receiver.answer = lambda _post: never.wait()
        async with running(owner) as callbacks:
            callbacks.add([event(1)])
            await owner.until(lambda: receiver.open == 1)
        assert callbacks.queue_size == callbacks.waiting_of(0) == 1

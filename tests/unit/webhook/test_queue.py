"""What may be delivered next, and what a failure means: tables and simulated receivers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from warouter.flow.event import EventRow
from warouter.kinds import STATUS
from warouter.webhook.breaker import GIVE_UP
from warouter.webhook.lane import LANE_EVENTS
from warouter.webhook.queue import Delivery

BYTES = 1 << 20


def item(
    seq: int, recipient: str = "49170", *, slot: int = 0, size: int = 10, **fields: Any
) -> EventRow:
    return EventRow(slot, seq, STATUS, "", recipient, b"x" * size, **fields)


def queue(*items: EventRow) -> Delivery:
    delivery = Delivery()
    for each in items:
        assert delivery.add([each]) == []
    return delivery


def seqs(items: Iterable[EventRow]) -> list[int]:
    return [each.seq for each in items]


def test_events_of_another_number_with_a_recipient_go_on() -> None:
    delivery = queue(item(1), item(2, "2|49170", number=2))
    first, second = delivery.take(1, BYTES), delivery.take(1, BYTES)
    assert seqs(delivery.failed(first)) == [1]  # its lane is blocked
    delivery.delivered(second)
    more = [item(3), item(4, "2|49170", number=2)]
    assert seqs(delivery.add(more)) == [3]
    assert seqs(delivery.take(100, BYTES)) == [4]


def test_parked_events_share_no_batch_after_an_outage() -> None:
    delivery = queue(item(1, "a"), item(2, "b"))
    first, second = delivery.take(1, BYTES), delivery.take(1, BYTES)
    delivery.block(0, "b")  # what failed before it is parked while it is out
    delivery.deferred(first)
    delivery.deferred(second)
    assert seqs(delivery.take(100, BYTES)) == [1]
    alone = delivery.take(100, BYTES)
    assert seqs(alone) == [2]
    assert delivery.suspicious(alone)


def test_suspects_of_a_held_slot_are_suspects_when_it_goes_on() -> None:
    delivery = queue(item(1, slot=1), item(2, "a"))
    assert delivery.failed(delivery.take(2, BYTES)) == []
    delivery.add([item(3, "b")])
    batch = delivery.probe(tried=False)
    assert delivery.withhold(batch, {1}) == batch
    assert seqs(delivery.take(1, BYTES)) == [2]  # its half has been set aside
    delivery.resume(1)
    assert delivery.take(1, BYTES, suspects=False) == []
    batch = delivery.take(1, BYTES)
    assert seqs(batch) == [1]
    assert delivery.suspicious(batch)


class TestTake:
    def test_several_recipients_and_several_of_one_share_a_batch_in_order(self) -> None:
        delivery = queue(item(1, "a"), item(2, "b"), item(3, "a"), item(4, "c"))
        assert seqs(delivery.take(100, BYTES)) == [1, 3, 2, 4]

    def test_one_recipient_gets_a_share_of_a_batch(self) -> None:
        delivery = queue(*(item(n, "a") for n in range(1, 30)), item(30, "b"))
        assert seqs(delivery.take(100, BYTES)) == [*range(1, LANE_EVENTS + 1), 30]

    def test_lanes_take_turns(self) -> None:
        delivery = queue(*(item(n, "a") for n in range(1, 20)), item(20, "b"))
        delivery.delivered(delivery.take(LANE_EVENTS, BYTES))
        assert seqs(delivery.take(1, BYTES)) == [20]

    @pytest.mark.parametrize(
        ("events", "size", "taken"),
        [
            (3, BYTES, [1, 2, 3]),
            (100, 204, [1, 2]),
            (100, 203, [1]),
            (100, 1, [1]),  # one event always goes, or it never would
        ],
    )
    def test_limits(self, events: Any, size: int, taken: list[int]) -> None:
        delivery = queue(*(item(n, str(n), size=100) for n in range(1, 6)))
        assert seqs(delivery.take(events, size)) == taken


class TestFailed:
    def test_a_larger_batch_is_halved_by_recipient(self) -> None:
        delivery = queue(*(item(n, str(n)) for n in range(1, 5)))
        assert delivery.failed(delivery.take(100, BYTES)) == []
        delivery.add([item(9, "9")])
        assert seqs(delivery.take(100, BYTES)) == [1, 2]
        assert seqs(delivery.take(100, BYTES)) == [3, 4]
        assert seqs(delivery.take(100, BYTES)) == [9]

    def test_one_recipients_batch_is_halved_in_order(self) -> None:
        delivery = queue(*(item(n, "a") for n in range(1, 6)))
        delivery.failed(delivery.take(100, BYTES))
        first = delivery.take(100, BYTES)
        assert seqs(first) == [1, 2, 3]
        assert delivery.take(100, BYTES) == []  # the second half waits for the first
        delivery.delivered(first)
        delivery.add([item(6, "a")])
        assert seqs(delivery.take(100, BYTES)) == [4, 5]

    @given(
        events=st.lists(st.sampled_from("abcdefgh"), max_size=60),
        bad=st.sets(st.integers(0, 59)),
        places=st.integers(1, 4),
    )
    def test_bad_events_are_isolated_and_all_others_delivered(
        self, events: Any, bad: set[int], places: int
    ) -> None:
        """A receiver refuses each POST with a bad event; up to ``places`` are open at once."""
        delivery = queue(*(item(n, recipient) for n, recipient in enumerate(events)))
        got, parked, posts, running = [], [], 0, []
        while batch := delivery.take(100, BYTES):
            running.append(batch)
            if len(running) < places and delivery.ready:
                continue
            while running:
                posts += 1
                batch = running.pop(0)
                if bad & set(seqs(batch)):
                    parked.append(seqs(delivery.failed(batch)))
                else:
                    got += seqs(delivery.delivered(batch))
        parked = [lane for lane in parked if lane]
        for lane in set(events):
            own = [n for n, recipient in enumerate(events) if recipient == lane]
            first_bad = next((i for i, n in enumerate(own) if n in bad), len(own))
            assert [n for n in got if n in own] == own[:first_bad]
            assert [behind for behind in parked if behind[0] in own] == (
                [own[first_bad:]] if own[first_bad:] else []
            )
        assert posts <= 1 + len(events) / LANE_EVENTS + 14 * (1 + len(parked)) + len(events)


class TestSuspects:
    def test_failed_events_leave_places_to_others(self) -> None:
        delivery = queue(item(1, "a"), item(2, "b"))
        delivery.failed(delivery.take(100, BYTES))  # two halves
        delivery.add([item(3, "c")])
        fresh = delivery.take(100, BYTES, suspects=False)
        assert seqs(fresh) == [3]
        assert not delivery.suspicious(fresh)
        assert delivery.take(100, BYTES, suspects=False) == []
        assert delivery.ready
        assert not delivery.fresh
        half = delivery.take(100, BYTES)
        assert seqs(half) == [1]
        assert delivery.suspicious(half)

    def test_parked_events_that_are_tried_again_are_under_suspicion(self) -> None:
        delivery = queue(item(1, "a"))
        [head] = delivery.failed(delivery.take(1, BYTES))
        delivery.add([replace(head, attempts=1, first_at=5.0)])
        delivery.add([item(2, "a", first_at=5.0)])
        assert delivery.take(100, BYTES, suspects=False) == []
        for seq in (1, 2):  # until nothing of it is parked any more
            batch = delivery.take(100, BYTES)
            assert seqs(batch) == [seq]
            assert delivery.suspicious(batch)
            delivery.delivered(batch)
        delivery.unblock(0, "a")
        delivery.add([item(3, "a")])
        assert seqs(delivery.take(100, BYTES, suspects=False)) == [3]

    @pytest.mark.parametrize(
        ("recipients", "batches"), [("abcab", [[0, 3], [1, 4], [2]]), ("aaaa", [[0, 1]])]
    )
    def test_hung_batches_are_split_by_recipient_then_halved(
        self, recipients: str, batches: list[list[int]]
    ) -> None:
        delivery = queue(*(item(n, recipient) for n, recipient in enumerate(recipients)))
        delivery.failed(delivery.take(100, BYTES), hung=True)
        assert [seqs(delivery.take(100, BYTES)) for _ in batches] == batches


class TestProbes:
    """The receiver is down: what was tried waits apart."""

    @pytest.fixture
    def delivery(self) -> Delivery:
        delivery = queue(*(item(n, str(n)) for n in range(1, 7)))
        delivery.failed(delivery.take(4, BYTES))
        delivery.deferred(delivery.take(2, BYTES))  # one half; the other is under suspicion
        return delivery

    def test_untried_events_are_probed_one_by_one(self, delivery: Delivery) -> None:
        for seq in (5, 6):
            assert delivery.untried
            probe = delivery.probe(tried=False)
            assert seqs(probe) == [seq]
            delivery.deferred(probe)
        assert not delivery.untried
        assert delivery.ready
        assert delivery.probe(tried=False) == []

    def test_tried_events_take_turns(self, delivery: Delivery) -> None:
        for seq in (1, 2, 3, 4, 1):
            probe = delivery.probe(tried=True)
            assert seqs(probe) == [seq]
            delivery.deferred(probe)

    def test_without_anything_tried_the_rest_is_probed(self) -> None:
        delivery = queue(item(1, "a"), item(2, "a"), item(3, "b"))
        assert seqs(delivery.probe(tried=True)) == [1]

    def test_once_it_is_up_what_was_tried_goes_first_and_whole(self, delivery: Delivery) -> None:
        delivery.delivered(delivery.probe(tried=True))
        delivery.restore()
        assert seqs(delivery.take(100, BYTES)) == [2, 3, 4, 5, 6]


class TestExpired:
    def test_events_first_tried_seven_days_ago_are_given_up(self) -> None:
        old, young = item(1, "a", first_at=0.0), item(2, "a", first_at=5.0)
        delivery = queue(old, young, item(3, "b"))
        assert delivery.expired(GIVE_UP - 1) == []
        assert delivery.expired(GIVE_UP) == [old]
        assert sorted(seqs(delivery.take(100, BYTES))) == [2, 3]

    def test_waiting_while_the_receiver_is_down_counts_from_the_first_call(self) -> None:
        delivery = queue(item(1, "a"))
        assert delivery.expired(100.0) == []
        assert delivery.expired(99.0 + GIVE_UP) == []
        assert seqs(delivery.expired(100.0 + GIVE_UP)) == [1]
        assert delivery.waiting == 0

    def test_an_event_after_expired_suspects_is_fresh(self) -> None:
        delivery = queue(item(1), item(2))
        assert delivery.failed(delivery.take(2, BYTES)) == []
        delivery.expired(0.0)
        assert seqs(delivery.expired(GIVE_UP)) == [1, 2]
        assert delivery.add([item(3)]) == []
        batch = delivery.take(1, BYTES, suspects=False)
        assert seqs(batch) == [3]
        assert not delivery.suspicious(batch)

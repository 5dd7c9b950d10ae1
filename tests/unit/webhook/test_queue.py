"""What may be delivered next, and what a failure means: tables, simulated receivers, a machine."""

import json
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from warouter.kinds import INBOUND, STATUS
from warouter.webhook.body import Item, body
from warouter.webhook.breaker import FAILURES, GIVE_UP, Breaker, given_up, retry_delay_ms
from warouter.webhook.lane import LANE_EVENTS
from warouter.webhook.queue import Delivery

BYTES = 1 << 20


def item(seq, recipient="49170", *, slot=0, size=10, **fields):
    return Item(slot, seq, STATUS, recipient, b"x" * size, **fields)


def queue(*items):
    delivery = Delivery()
    for each in items:
        assert delivery.add(each)
    return delivery


def seqs(items):
    return [each.seq for each in items]


class TestTake:
    def test_several_recipients_and_several_of_one_share_a_batch_in_order(self):
        delivery = queue(item(1, "a"), item(2, "b"), item(3, "a"), item(4, "c"))
        assert seqs(delivery.take(100, BYTES)) == [1, 3, 2, 4]

    def test_one_recipient_gets_a_share_of_a_batch(self):
        delivery = queue(*(item(n, "a") for n in range(1, 30)), item(30, "b"))
        assert seqs(delivery.take(100, BYTES)) == [*range(1, LANE_EVENTS + 1), 30]

    def test_lanes_take_turns(self):
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
    def test_limits(self, events, size, taken):
        delivery = queue(*(item(n, str(n), size=100) for n in range(1, 6)))
        assert seqs(delivery.take(events, size)) == taken

    def test_what_failed_alone_before_goes_alone(self):
        retry = item(2, "b", attempts=1, first_at=0.0)
        delivery = queue(item(1, "a"), retry, item(3, "b", first_at=0.0), item(4, "c"))
        assert seqs(delivery.take(100, BYTES)) == [1]
        assert seqs(delivery.take(100, BYTES)) == [2]
        assert seqs(delivery.take(100, BYTES)) == [4]


class TestFailed:
    def test_a_single_event_comes_back_with_what_waits_behind_it(self):
        delivery = queue(item(1, "a"))
        batch = delivery.take(1, BYTES)
        delivery.add(item(2, "a"))
        assert seqs(delivery.failed(batch)) == [1, 2]
        assert not delivery.add(item(3, "a"))
        assert delivery.add(item(4, "b"))
        assert delivery.waiting == 1

    def test_a_larger_batch_is_halved_by_recipient(self):
        delivery = queue(*(item(n, str(n)) for n in range(1, 5)))
        assert delivery.failed(delivery.take(100, BYTES)) == []
        delivery.add(item(9, "9"))
        assert seqs(delivery.take(100, BYTES)) == [1, 2]
        assert seqs(delivery.take(100, BYTES)) == [3, 4]
        assert seqs(delivery.take(100, BYTES)) == [9]

    def test_one_recipients_batch_is_halved_in_order(self):
        delivery = queue(*(item(n, "a") for n in range(1, 6)))
        delivery.failed(delivery.take(100, BYTES))
        first = delivery.take(100, BYTES)
        assert seqs(first) == [1, 2, 3]
        assert delivery.take(100, BYTES) == []  # the second half waits for the first
        delivery.delivered(first)
        delivery.add(item(6, "a"))
        assert seqs(delivery.take(100, BYTES)) == [4, 5]

    @given(
        events=st.lists(st.sampled_from("abcdefgh"), max_size=60),
        bad=st.sets(st.integers(0, 59)),
        places=st.integers(1, 4),
    )
    def test_bad_events_are_isolated_and_all_others_delivered(self, events, bad, places):
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
    def test_what_failed_before_leaves_places_to_others(self):
        delivery = queue(item(1, "a"), item(2, "b"))
        delivery.failed(delivery.take(100, BYTES))  # two halves
        delivery.add(item(3, "c"))
        fresh = delivery.take(100, BYTES, suspects=False)
        assert seqs(fresh) == [3]
        assert not delivery.suspicious(fresh)
        assert delivery.take(100, BYTES, suspects=False) == []
        assert delivery.ready
        assert not delivery.fresh
        half = delivery.take(100, BYTES)
        assert seqs(half) == [1]
        assert delivery.suspicious(half)

    def test_parked_events_that_are_tried_again_are_under_suspicion(self):
        delivery = queue(item(1, "a"))
        [head] = delivery.failed(delivery.take(1, BYTES))
        delivery.add(head._replace(attempts=1, first_at=5.0))
        delivery.add(item(2, "a")._replace(first_at=5.0))
        assert delivery.take(100, BYTES, suspects=False) == []
        for seq in (1, 2):  # until nothing of it is parked any more
            batch = delivery.take(100, BYTES)
            assert seqs(batch) == [seq]
            assert delivery.suspicious(batch)
            delivery.delivered(batch)
        delivery.unblock(0, "a")
        delivery.add(item(3, "a"))
        assert seqs(delivery.take(100, BYTES, suspects=False)) == [3]

    def test_a_lane_that_is_blocked_where_it_stands_is_not_taken_as_a_fresh_one(self):
        delivery = queue(item(1, "a"), item(2, "b"))
        delivery.block(0, "a")
        delivery.add(item(1, "a")._replace(first_at=5.0))
        assert seqs(delivery.take(100, BYTES, suspects=False)) == [2]
        assert seqs(delivery.take(100, BYTES)) == [1]

    def test_what_hung_is_offered_again_recipient_by_recipient(self):
        delivery = queue(*(item(n, recipient) for n, recipient in enumerate("abcab")))
        delivery.failed(delivery.take(100, BYTES), hung=True)
        batches = [delivery.take(100, BYTES) for _ in range(3)]
        assert list(map(seqs, batches)) == [[0, 3], [1, 4], [2]]

    def test_what_hung_of_one_recipient_is_halved(self):
        delivery = queue(*(item(n, "a") for n in range(4)))
        delivery.failed(delivery.take(100, BYTES), hung=True)
        assert seqs(delivery.take(100, BYTES)) == [0, 1]


class TestSlots:
    def test_a_blocked_recipient_in_an_open_batch_is_unblocked_by_forgetting(self):
        delivery = queue(item(1, "a"))
        delivery.take(1, BYTES)
        delivery.block(0, "a")
        delivery.forget(0)
        assert delivery.add(item(1, "a"))

    def test_what_a_lost_slot_left_in_a_half_does_not_touch_its_successor(self):
        delivery = queue(item(1, "a"), item(2, "b"))
        delivery.failed(delivery.take(100, BYTES))
        delivery.forget(0)
        delivery.add(item(1, "a"))
        delivery.block(0, "b")
        delivery.deferred([])
        assert not delivery.add(item(2, "b"))
        assert delivery.waiting == 1
        assert seqs(delivery.take(100, BYTES)) == [1]
        delivery.add(item(3, "a"))
        assert delivery.take(100, BYTES) == []

    def test_a_withheld_slot_is_not_offered_until_it_is_resumed(self):
        delivery = queue(item(1, "a", slot=1), item(2, "b", slot=2))
        rest = delivery.withhold(delivery.take(100, BYTES), {1})
        assert seqs(rest) == [2]
        delivery.add(item(3, "c", slot=1))
        assert delivery.take(100, BYTES) == []
        assert delivery.held == [1]
        delivery.resume(1)
        assert seqs(delivery.take(100, BYTES)) == [1, 3]

    def test_withholding_a_forgotten_slot_holds_nothing(self):
        delivery = queue(item(1, "a"))
        batch = delivery.take(1, BYTES)
        delivery.forget(0)
        assert delivery.withhold(batch, {0}) == []
        delivery.add(item(1, "a"))
        assert delivery.held == []
        assert seqs(delivery.take(1, BYTES)) == [1]


class TestProbes:
    """The receiver is down: what was tried waits apart."""

    @pytest.fixture
    def delivery(self):
        delivery = queue(*(item(n, str(n)) for n in range(1, 7)))
        delivery.failed(delivery.take(4, BYTES))
        delivery.deferred(delivery.take(2, BYTES))  # one half; the other is under suspicion
        return delivery

    def test_what_was_not_tried_is_probed_event_by_event(self, delivery):
        for seq in (5, 6):
            assert delivery.untried
            probe = delivery.probe(tried=False)
            assert seqs(probe) == [seq]
            delivery.deferred(probe)
        assert not delivery.untried
        assert delivery.ready
        assert delivery.probe(tried=False) == []

    def test_what_was_tried_takes_turns(self, delivery):
        for seq in (1, 2, 3, 4, 1):
            probe = delivery.probe(tried=True)
            assert seqs(probe) == [seq]
            delivery.deferred(probe)

    def test_without_anything_tried_the_rest_is_probed(self):
        delivery = queue(item(1, "a"), item(2, "a"), item(3, "b"))
        assert seqs(delivery.probe(tried=True)) == [1]

    def test_once_it_is_up_what_was_tried_goes_first_and_whole(self, delivery):
        delivery.delivered(delivery.probe(tried=True))
        delivery.restore()
        assert seqs(delivery.take(100, BYTES)) == [2, 3, 4, 5, 6]


class TestExpired:
    def test_what_was_first_tried_seven_days_ago_is_given_up(self):
        old, young = item(1, "a", first_at=0.0), item(2, "a", first_at=5.0)
        delivery = queue(old, young, item(3, "b"))
        assert delivery.expired(GIVE_UP - 1) == []
        assert delivery.expired(GIVE_UP) == [old]
        assert sorted(seqs(delivery.take(100, BYTES))) == [2, 3]

    def test_waiting_while_the_receiver_is_down_counts_from_the_first_call(self):
        delivery = queue(item(1, "a"))
        assert delivery.expired(100.0) == []
        assert delivery.expired(99.0 + GIVE_UP) == []
        assert seqs(delivery.expired(100.0 + GIVE_UP)) == [1]
        assert delivery.waiting == 0


class TestBreaker:
    def fail(self, breaker, now, *, probe=False, retry=False, times=1):
        for _ in range(times):
            breaker.failed(now, probe=probe, retry=retry, step_ms=3_000, most_ms=7_000)

    def opened(self, now=0.0):
        breaker = Breaker()
        self.fail(breaker, now, times=FAILURES)
        return breaker

    def test_opens_after_so_many_failures_in_a_row(self):
        breaker = Breaker()
        self.fail(breaker, 0.0, times=FAILURES - 1)
        assert not breaker.open
        assert not breaker.failing
        self.fail(breaker, 0.0)
        assert breaker.open
        assert breaker.failing

    def test_a_success_in_between_starts_the_count_anew(self):
        breaker = Breaker()
        self.fail(breaker, 0.0, times=FAILURES - 1)
        breaker.succeeded()
        self.fail(breaker, 0.0, times=FAILURES - 1)
        assert not breaker.open

    def test_retries_of_parked_events_open_nothing_but_are_worth_a_word(self):
        breaker = Breaker()
        self.fail(breaker, 0.0, retry=True, times=3 * FAILURES)
        assert not breaker.open
        assert breaker.failing

    def test_waits_grow_linearly_up_to_the_most_and_each_ends_in_one_probe(self):
        breaker = self.opened(now=10.0)
        for begins, wait in ((10.0, 3.0), (20.0, 6.0), (30.0, 7.0), (40.0, 7.0)):
            if begins > 10.0:
                self.fail(breaker, begins, probe=True)
            assert breaker.wait(begins, untried=False) == wait
            assert not breaker.permits(begins + wait - 0.01, untried=False)
            assert breaker.permits(begins + wait, untried=False)
            assert breaker.begin()
            assert not breaker.permits(begins + wait, untried=True)  # one probe at a time
            assert breaker.wait(begins + wait, untried=True) is None

    def test_what_was_not_tried_waits_for_one_step_and_leaves_the_others_their_wait(self):
        breaker = self.opened(now=0.0)
        breaker.begin()
        self.fail(breaker, 3.0, probe=True)
        assert breaker.wait(3.0, untried=False) == 6.0
        assert breaker.wait(3.0, untried=True) == 3.0
        assert not breaker.permits(5.9, untried=True)
        assert breaker.permits(6.0, untried=True)
        assert not breaker.due(6.0)
        breaker.begin()
        self.fail(breaker, 6.5, probe=True)
        assert breaker.wait(6.5, untried=False) == 2.5
        assert breaker.due(9.0)

    def test_failures_of_posts_from_before_it_opened_do_not_lengthen_the_wait(self):
        breaker = self.opened()
        self.fail(breaker, 1.0, times=10)
        assert breaker.wait(1.0, untried=False) == 2.0

    def test_any_success_closes_it_and_a_late_failure_of_the_probe_does_not_open_it(self):
        breaker = self.opened()
        breaker.begin()
        breaker.succeeded()
        assert breaker.permits(0.0, untried=False)
        self.fail(breaker, 4.0, probe=True)
        assert not breaker.open

    def test_a_probe_that_was_not_made_may_be_made_again(self):
        breaker = self.opened()
        breaker.begin()
        breaker.aborted(probe=True)
        assert breaker.permits(3.0, untried=False)

    def test_hurrying_ends_the_wait_and_not_the_outage(self):
        breaker = self.opened()
        breaker.hurry()
        assert breaker.permits(0.0, untried=False)
        breaker.begin()
        self.fail(breaker, 0.0, probe=True)
        assert breaker.wait(0.0, untried=False) == 6.0

    def test_closed_it_is_no_probe(self):
        assert not Breaker().begin()


@pytest.mark.parametrize(
    ("attempts", "delay"), [(0, 3_000), (1, 3_000), (2, 6_000), (300, 900_000), (9_999, 900_000)]
)
def test_retry_delay(attempts, delay):
    assert retry_delay_ms(attempts, 3_000, 900_000) == delay


@pytest.mark.parametrize(
    ("first_at", "now", "over"),
    [(None, 1e9, False), (0.0, 604_799.9, False), (0.0, 604_800.0, True)],
)
def test_given_up(first_at, now, over):
    assert given_up(first_at, now) is over


class TestBody:
    def test_statuses(self):
        items = [Item(0, n, STATUS, "1", b'{"id":"%d"}' % n) for n in (1, 2)]
        assert body(items) == b'{"statuses":[{"id":"1"},{"id":"2"}]}'

    def test_messages_with_each_contact_once_in_order(self):
        contacts = [b'{"wa_id":"2"}', b'{"wa_id":"1"}', b'{"wa_id":"2"}', None]
        items = [Item(0, n, INBOUND, "1", b'{"id":"%d"}' % n, c) for n, c in enumerate(contacts)]
        assert json.loads(body(items)) == {
            "contacts": [{"wa_id": "2"}, {"wa_id": "1"}],
            "messages": [{"id": "0"}, {"id": "1"}, {"id": "2"}, {"id": "3"}],
        }

    def test_messages_without_a_contact(self):
        assert body([Item(0, 1, INBOUND, "1", b"{}", None)]) == b'{"messages":[{}]}'

    def test_what_is_nobodys_is_an_error(self):
        error = Item(0, 1, INBOUND, "", b'{"code":1}')
        message = Item(0, 2, INBOUND, "1", b'{"id":"2"}', b'{"wa_id":"1"}')
        assert body([error]) == b'{"errors":[{"code":1}]}'
        assert json.loads(body([error, message])) == {
            "contacts": [{"wa_id": "1"}],
            "messages": [{"id": "2"}],
            "errors": [{"code": 1}],
        }

    @given(st.lists(st.text(), min_size=1))
    def test_payloads_travel_byte_for_byte(self, texts):
        payloads = [json.dumps({"body": text}, ensure_ascii=False).encode() for text in texts]
        made = body([Item(0, 1, INBOUND, "1", payload) for payload in payloads])
        assert all(payload in made for payload in payloads)
        assert json.loads(made)["messages"] == [{"body": text} for text in texts]


SLOTS = st.integers(0, 1)
LANES = st.tuples(SLOTS, st.sampled_from("abc"))


class DeliveryMachine(RuleBasedStateMachine):
    """Any sequence of calls, against a model that knows of every event where it must be."""

    batches = Bundle("batches")

    @initialize()
    def start(self):
        self.delivery = Delivery()
        self.seq = 0
        self.now = 0.0
        self.lanes = defaultdict(list)  # (slot, recipient) -> seqs that wait, in order
        self.parked = defaultdict(list)
        self.blocked = set()
        self.failed_lanes = set()  # with events that stood in a batch that failed
        self.open = {}  # number -> lanes that are busy by it
        self.forgotten = defaultdict(set)  # number -> lanes of it that count no more
        self.deliveries = Counter()

    def clear(self, lanes):
        """No longer under suspicion."""
        self.failed_lanes -= set(lanes)

    def check_lanes(self, items):
        by_lane = defaultdict(list)
        for each in items:
            by_lane[each.slot, each.recipient].append(each.seq)
        return by_lane

    def end(self, batch):
        """The lanes of a batch that still count, with their seqs; the batch is closed."""
        number, items = batch
        del self.open[number]
        gone = self.forgotten.pop(number, set())
        lanes = self.check_lanes(items)
        return {lane: own for lane, own in lanes.items() if lane not in gone}

    @rule(lane=LANES, size=st.integers(0, 30))
    def add(self, lane, size):
        self.seq += 1
        slot, recipient = lane
        let_in = self.delivery.add(item(self.seq, recipient, slot=slot, size=size))
        assert let_in == (lane not in self.blocked)
        (self.lanes if let_in else self.parked)[lane].append(self.seq)

    @rule(target=batches, events=st.integers(1, 12), size=st.integers(1, 200), all=st.booleans())
    def take(self, events, size, all):
        ready, fresh = self.delivery.ready, self.delivery.fresh
        items = self.delivery.take(events, size, suspects=all)
        if items:
            assert ready if all else fresh
            lanes = set(self.check_lanes(items))
            if lanes & self.blocked or lanes & self.failed_lanes:
                assert all, "an event under suspicion took the place of another"
                assert self.delivery.suspicious(items)
        assert len(items) <= events
        assert len(items) <= 1 or sum(len(i.payload) for i in items) <= size
        assert len(items) <= 1 or not any(i.attempts for i in items)
        return self.begin(items)

    @rule(target=batches, tried=st.booleans())
    def probe(self, tried):
        items = self.delivery.probe(tried=tried)
        assert len(items) <= 1
        return self.begin(items)

    def begin(self, items):
        if not items:
            return multiple()
        lanes = self.check_lanes(items)
        busy = {lane for number in self.open for lane in self.open[number]}
        assert not busy & set(lanes), "two open batches hold events of one recipient"
        assert not {slot for slot, _ in lanes} & set(self.delivery.held)
        for lane, own in lanes.items():
            assert own == self.lanes[lane][: len(own)], "out of order"
            del self.lanes[lane][: len(own)]
        number = self.seq = self.seq + 1
        self.open[number] = set(lanes)
        return (number, items)

    @rule(batch=consumes(batches))
    def delivered(self, batch):
        ends = self.end(batch)
        live = self.delivery.delivered(batch[1])
        self.clear(ends)  # of some only the first half was; the model asks no more of those
        assert self.check_lanes(live) == ends
        for each in live:
            self.deliveries[each.seq] += 1
            assert self.deliveries[each.seq] == 1, "delivered twice without a failure"

    @rule(batch=consumes(batches), hung=st.booleans())
    def failed(self, batch, hung):
        ends = self.end(batch)
        handed = seqs(self.delivery.failed(batch[1], hung=hung))
        if len(batch[1]) > 1 or not ends:
            assert handed == []
            self.put_back(ends)
            if len(batch[1]) > 1:
                self.failed_lanes |= ends.keys()
            return
        ((lane, own),) = ends.items()
        assert handed == own + self.lanes[lane]
        self.park(lane, handed)

    @rule(batch=consumes(batches))
    def returned(self, batch):
        ends = self.end(batch)
        self.delivery.returned(batch[1])
        self.put_back(ends)
        self.clear(ends)

    @rule(target=batches, batch=consumes(batches), slot=SLOTS)
    def withhold(self, batch, slot):
        number, items = batch
        rest = self.delivery.withhold(items, {slot})
        assert rest == [i for i in items if i.slot != slot]
        gone = self.forgotten[number]
        lanes = self.check_lanes(items)
        self.put_back({x: own for x, own in lanes.items() if x[0] == slot and x not in gone})
        self.clear(x for x in lanes if x[0] == slot)
        self.open[number] = {lane for lane in self.open[number] if lane[0] != slot}
        if not rest:
            del self.open[number]
            return multiple()
        return (number, rest)

    @rule(slot=SLOTS)
    def resume(self, slot):
        self.delivery.resume(slot)
        assert slot not in self.delivery.held

    @rule(batch=consumes(batches))
    def deferred(self, batch):
        ends = self.end(batch)
        self.delivery.deferred(batch[1])
        self.put_back(ends)
        self.failed_lanes.clear()

    @rule()
    def restore(self):
        self.delivery.restore()

    @rule(lane=LANES)
    def block(self, lane):
        handed = self.delivery.block(*lane)
        assert seqs(handed) == self.lanes[lane]
        self.park(lane, seqs(handed))

    @precondition(lambda self: any(self.parked.values()))
    @rule(data=st.data())
    def retry(self, data):
        lane = data.draw(st.sampled_from(sorted(x for x, own in self.parked.items() if own)))
        slot, recipient = lane
        for place, seq in enumerate(self.parked.pop(lane)):
            again = item(seq, recipient, slot=slot, attempts=int(place == 0), first_at=self.now)
            assert self.delivery.add(again)
            self.lanes[lane].append(seq)

    @rule(lane=LANES)
    def unblock(self, lane):
        if not self.parked[lane]:
            self.delivery.unblock(*lane)
            self.blocked.discard(lane)

    @rule(slot=SLOTS)
    def forget(self, slot):
        self.delivery.forget(slot)
        for number, lanes in self.open.items():
            self.forgotten[number] |= {lane for lane in lanes if lane[0] == slot}
        for model in (self.lanes, self.parked):
            for lane in [lane for lane in model if lane[0] == slot]:
                del model[lane]
        self.blocked = {lane for lane in self.blocked if lane[0] != slot}
        self.failed_lanes = {lane for lane in self.failed_lanes if lane[0] != slot}

    @rule(later=st.sampled_from([1.0, GIVE_UP / 2]))
    def expired(self, later):
        self.now += later
        for each in self.delivery.expired(self.now):
            lane = self.lanes[each.slot, each.recipient]
            assert lane.pop(0) == each.seq
            assert given_up(each.first_at, self.now)

    def put_back(self, lanes):
        for lane, own in lanes.items():
            self.lanes[lane][:0] = own

    def park(self, lane, own):
        self.lanes[lane].clear()
        # What failed precedes what was turned away before it.
        self.parked[lane] = sorted([*own, *self.parked[lane]])
        self.blocked.add(lane)
        self.clear({lane})

    @invariant()
    def counts_what_waits(self):
        if hasattr(self, "lanes"):
            waiting = Counter({slot: 0 for slot in (0, 1)})
            for (slot, _), own in self.lanes.items():
                waiting[slot] += len(own)
            assert {s: self.delivery.waiting_of(s) for s in (0, 1)} == dict(waiting)
            assert self.delivery.waiting == waiting.total()

    def teardown(self):
        """Nothing is lost: with all held slots resumed and open batches ended, all comes out."""
        if not hasattr(self, "lanes"):
            return
        for slot in (0, 1):
            self.delivery.resume(slot)
        # A batch that is still open keeps its recipients; nothing else may.
        busy = {lane for lanes in self.open.values() for lane in lanes}
        while items := self.delivery.take(100, BYTES):
            for lane, own in self.check_lanes(items).items():
                assert own == self.lanes[lane][: len(own)]
                del self.lanes[lane][: len(own)]
            self.delivery.delivered(items)
        assert {lane for lane, own in self.lanes.items() if own} <= busy


TestDeliveryMachine = DeliveryMachine.TestCase
TestDeliveryMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

"""Any sequence of calls on deliveries, against a model that knows where every event must be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from hypothesis import settings
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

from tests.unit.webhook.test_queue import BYTES, item, seqs
from warouter.flow.event import EventRow
from warouter.webhook.breaker import GIVE_UP, given_up
from warouter.webhook.queue import Delivery

SLOTS = st.integers(0, 1)
LANES = st.tuples(SLOTS, st.sampled_from("abc"))


class DeliveryMachine(RuleBasedStateMachine):
    """Any sequence of calls, against a model that knows of every event where it must be."""

    batches = Bundle("batches")

    @initialize()
    def start(self) -> None:
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
        self.held = set()  # slots

    def clear(self, lanes: Any) -> None:
        """No longer under suspicion."""
        self.failed_lanes -= set(lanes)

    def check_lanes(self, items: Iterable[EventRow]) -> None:
        by_lane = defaultdict(list)
        for each in items:
            by_lane[each.slot, each.recipient].append(each.seq)
        return by_lane

    def end(self, batch: list[EventRow]) -> None:
        """The lanes of a batch that still count, with their seqs; the batch is closed."""
        number, items = batch
        del self.open[number]
        gone = self.forgotten.pop(number, set())
        lanes = self.check_lanes(items)
        return {lane: own for lane, own in lanes.items() if lane not in gone}

    @rule(lane=LANES, size=st.integers(0, 30))
    def add(self, lane: Any, size: int) -> None:
        self.seq += 1
        slot, recipient = lane
        let_in = not self.delivery.add([item(self.seq, recipient, slot=slot, size=size)])
        assert let_in == (lane not in self.blocked)
        (self.lanes if let_in else self.parked)[lane].append(self.seq)

    @rule(target=batches, events=st.integers(1, 12), size=st.integers(1, 200), all=st.booleans())
    def take(self, events: Any, size: int, all: bool) -> Any:
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
    def probe(self, tried: bool) -> Any:
        items = self.delivery.probe(tried=tried)
        assert len(items) <= 1
        return self.begin(items)

    def begin(self, items: Iterable[EventRow]) -> Any:
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
    def delivered(self, batch: list[EventRow]) -> None:
        ends = self.end(batch)
        live = self.delivery.delivered(batch[1])
        self.clear(ends)  # of some only the first half was; the model asks no more of those
        assert self.check_lanes(live) == ends
        for each in live:
            self.deliveries[each.seq] += 1
            assert self.deliveries[each.seq] == 1, "delivered twice without a failure"

    @rule(batch=consumes(batches), hung=st.booleans())
    def failed(self, batch: list[EventRow], hung: bool) -> None:
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
    def returned(self, batch: list[EventRow]) -> None:
        ends = self.end(batch)
        self.delivery.returned(batch[1])
        self.put_back(ends)
        self.clear(ends)

    @rule(target=batches, batch=consumes(batches), slot=SLOTS)
    def withhold(self, batch: list[EventRow], slot: int) -> Any:
        number, items = batch
        rest = self.delivery.withhold(items, {slot})
        assert rest == [i for i in items if i.slot != slot]
        gone = self.forgotten[number]
        lanes = self.check_lanes(items)
        self.put_back({x: own for x, own in lanes.items() if x[0] == slot and x not in gone})
        self.clear(x for x in lanes if x[0] == slot)
        if self.delivery.waiting_of(slot):
            self.held.add(slot)
        self.open[number] = {lane for lane in self.open[number] if lane[0] != slot}
        if not rest:
            del self.open[number]
            return multiple()
        return (number, rest)

    @rule(slot=SLOTS)
    def resume(self, slot: int) -> None:
        self.delivery.resume(slot)
        self.held.discard(slot)

    @rule(batch=consumes(batches))
    def deferred(self, batch: list[EventRow]) -> None:
        ends = self.end(batch)
        self.delivery.deferred(batch[1])
        self.put_back(ends)
        self.failed_lanes.clear()

    @rule()
    def restore(self) -> None:
        self.delivery.restore()

    @rule(lane=LANES)
    def block(self, lane: Any) -> None:
        handed = self.delivery.block(*lane)
        assert seqs(handed) == self.lanes[lane]
        self.park(lane, seqs(handed))

    @precondition(lambda self: any(self.parked.values()))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from(sorted(x for x, own in self.parked.items() if own)))
        slot, recipient = lane
        for place, seq in enumerate(self.parked.pop(lane)):
            again = item(seq, recipient, slot=slot, attempts=int(place == 0), first_at=self.now)
            assert self.delivery.add([again]) == []
            self.lanes[lane].append(seq)

    @rule(lane=LANES)
    def unblock(self, lane: Any) -> None:
        if not self.parked[lane]:
            self.delivery.unblock(*lane)
            self.blocked.discard(lane)

    @rule(slot=SLOTS)
    def forget(self, slot: int) -> None:
        self.delivery.forget(slot)
        self.held.discard(slot)
        for number, lanes in self.open.items():
            self.forgotten[number] |= {lane for lane in lanes if lane[0] == slot}
        for model in (self.lanes, self.parked):
            for lane in [lane for lane in model if lane[0] == slot]:
                del model[lane]
        self.blocked = {lane for lane in self.blocked if lane[0] != slot}
        self.failed_lanes = {lane for lane in self.failed_lanes if lane[0] != slot}

    @rule(later=st.sampled_from([1.0, GIVE_UP / 2]))
    def expired(self, later: float) -> None:
        self.now += later
        gone = set()
        for each in self.delivery.expired(self.now):
            gone.add(lane := (each.slot, each.recipient))
            assert self.lanes[lane].pop(0) == each.seq
            assert given_up(each.first_at, self.now)
        # What failed is gone with them, and what comes next stood in no batch with it.
        self.clear(lane for lane in gone.difference(*self.open.values()) if not self.lanes[lane])

    def put_back(self, lanes: Any) -> None:
        for lane, own in lanes.items():
            self.lanes[lane][:0] = own

    def park(self, lane: Any, own: Any) -> None:
        self.lanes[lane].clear()
        # What failed precedes what was turned away before it.
        self.parked[lane] = sorted([*own, *self.parked[lane]])
        self.blocked.add(lane)
        self.clear({lane})

    @invariant()
    def counts_what_waits(self) -> None:
        if hasattr(self, "lanes"):
            waiting = Counter({slot: 0 for slot in (0, 1)})
            for (slot, _), own in self.lanes.items():
                waiting[slot] += len(own)
            assert {s: self.delivery.waiting_of(s) for s in (0, 1)} == dict(waiting)
            assert self.delivery.waiting == waiting.total()
            assert set(self.delivery.held) == {slot for slot in self.held if waiting[slot]}

    def teardown(self) -> None:
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

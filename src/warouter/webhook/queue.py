"""Decides which events may be sent to the webhook now, and what a failed POST means for them.

Pure: the clock and the sockets are in ``webhook.callbacks``. The rules:

* Statuses and inbound messages have a ``Delivery`` each, as they have a ``Breaker``.
* Order holds per number and recipient, who have a *lane*: while a batch with events of it is open,
  no other batch gets any. Lanes take turns, first come first served.
* A batch that failed is halved, recipient by recipient and at last event by event, and the halves
  are offered again. Only the single event that fails is given back, to be parked, with all that
  waits behind it; from then on its lane is *blocked*: later events are turned away and parked too.
* What failed before, or stood in one POST with what did, is *under suspicion*: it may hang until
  the time-out once more, so it may not have all places (``suspicious``, ``take(suspects=False)``).
  A batch that hung is offered again recipient by recipient: each half would cost a time-out.

``now`` is seconds on the owner's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile

from msgspec.structs import replace

from warouter.flow.event import EventRow
from warouter.kinds import STATUS
from warouter.webhook.breaker import GIVE_UP, given_up
from warouter.webhook.lane import IDLE, EventLane, EventLanes, halves
from warouter.webhook.lane_queues import LaneQueues


class Delivery:
    """The events of one kind that a coreapp has to deliver, for all its slots.

    A batch is what ``take`` gave; each ends in exactly one of ``delivered``, ``failed``,
    ``deferred`` and ``returned``, called with that list or with what ``withhold`` left of it.
    """

    def __init__(self) -> None:
        self._lanes = EventLanes()
        self._turns = LaneQueues()

    @property
    def waiting(self) -> int:
        """Number of events that are in no open batch."""
        return self._lanes.waiting

    @property
    def ready(self) -> bool:
        """True if ``take`` may return a batch."""
        return self._turns.any

    @property
    def fresh(self) -> bool:
        """True if ``take(suspects=False)`` may return a batch."""
        return self._turns.fresh

    @property
    def untried(self) -> bool:
        """True if there are events that were not deferred."""
        return self._turns.untried

    @property
    def held(self) -> list[int]:
        """Slots whose events are withheld until ``resume``."""
        return [slot for slot in self._turns.held if self.waiting_of(slot)]

    def waiting_of(self, slot: int) -> int:
        """Number of events of ``slot`` in no open batch, which bounds the reader of the journal."""
        return self._lanes.waiting_of(slot)

    def add(self, items: Sequence[EventRow]) -> list[EventRow]:
        """Queue events of a slot in their lanes; returns those whose lane is blocked: park them."""
        slot, offer = items[0].slot, self._turns.offer
        lanes, turned_away = self._lanes.of_slot(slot), []
        for item in items:
            lane = lanes.get(item.lane)
            if lane is None:
                lane = lanes[item.lane] = EventLane(slot, item.lane)
            elif lane.blocked and item.first_at is None:
                turned_away.append(item)
                continue
            lane.items.append(item)
            if lane.stage is IDLE:
                offer(lane)
        self._lanes.count(slot, len(items) - len(turned_away))
        return turned_away

    # ------------------------------------------------------------------ batches begin

    def take(self, limit_events: int, limit_bytes: int, *, suspects: bool = True) -> list[EventRow]:
        """The next batch of at most this many events and bytes; empty if none may go.

        ``limit_events`` is at least 1. One event may be larger than ``limit_bytes``; it goes
        alone. So does one that has failed alone before, lest it fails others with it. Nothing of
        it is under suspicion, unless all of it is, which goes first.
        """
        return self._lanes.taken(self._turns.batch(limit_events, limit_bytes, suspects=suspects))

    def probe(self, *, tried: bool) -> list[EventRow]:
        """One event to test the receiver with, preferably one that was tried before."""
        return self._lanes.taken(self._turns.probe(tried=tried))

    def suspicious(self, batch: list[EventRow]) -> bool:
        """True if this batch holds events that failed before, or were in a failed batch."""
        lane = self._lanes.of(batch[0])
        return lane.blocked or lane.suspects > 0

    def withhold(self, batch: list[EventRow], slots: Collection[int]) -> list[EventRow]:
        """Take the events of ``slots`` out of a batch and hold those slots; returns its rest."""
        self.returned([item for item in batch if item.slot in slots])
        for slot in slots:
            if self.waiting_of(slot):  # else it was forgotten
                self._turns.hold(slot)
        return [item for item in batch if item.slot not in slots]

    def resume(self, slot: int) -> None:
        """Release a held slot."""
        self._turns.resume(slot)

    # ------------------------------------------------------------------ batches end

    def delivered(self, batch: list[EventRow]) -> list[EventRow]:
        """The receiver accepted the batch (or it was given up): go on behind it.

        What of it counts is returned: all but the events of slots that were forgotten meanwhile.
        """
        closed = self._close(batch)
        for lane, items in closed:
            if not (lane.suspects or lane.items or lane.blocked):
                self._lanes.drop_if_idle(lane)  # nearly always
                continue
            lane.suspects -= min(lane.suspects, len(items))
            lane.quota = lane.suspects
            if lane.suspects and lane.items:  # the second half of one recipient's events
                self._turns.group([lane])
            else:
                self._clear(lane)
        return [item for _, items in closed for item in items]

    def failed(self, batch: list[EventRow], *, hung: bool = False) -> list[EventRow]:
        """The receiver refused the batch. A single event is
        returned, with those that wait behind it, to park.

        Its lane is blocked then. Of a larger batch nothing comes back; its halves are offered, or
        after it ``hung`` each recipient by itself.
        """
        closed = self._close(batch)
        if len(batch) == 1:
            return [item for lane, items in closed for item in self._expel(lane, items)]
        self._put_back(closed)
        parts = [(lane, len(items)) for lane, items in closed]
        for half in halves(parts) if not hung or len(parts) == 1 else ([p] for p in parts):
            for lane, count in half:
                lane.suspects = max(lane.suspects, count)
                lane.quota = count if len(parts) > 1 else (count + 1) // 2
            self._turns.group([lane for lane, _ in half])
        return []

    def returned(self, batch: list[EventRow]) -> None:
        """The batch was not sent: its lanes queue up again."""
        closed = self._close(batch)
        self._put_back(closed)
        for lane, _ in closed:
            self._clear(lane)

    def deferred(self, batch: list[EventRow]) -> None:
        """The batch failed while the receiver is down, which is no fault of its events.

        All of that waits apart until ``restore``.
        """
        closed = self._close(batch)
        self._put_back(closed)
        for lane in [*(lane for lane, _ in closed), *self._turns.ungroup()]:
            self._clear(lane, tried=True)

    def abandoned(self, batch: list[EventRow]) -> None:
        """The outcome of the batch is unknown: its slots are forgotten next."""
        for item in batch:
            lane = self._lanes.find(item.slot, item.lane)
            if lane is not None and lane.out and not lane.closed():
                self._clear(lane)

    def restore(self) -> None:
        """The receiver is up: deferred events go first, because they waited longest."""
        self._turns.restore()

    # ------------------------------------------------------------------ lanes

    def block(self, slot: int, lane: str) -> list[EventRow]:
        """Refuse later events of this lane; its waiting events are returned, to park."""
        return self._expel(self._lanes.at(slot, lane), [])

    def unblock(self, slot: int, lane: str) -> None:
        """No event of this lane is parked any more: accept its events again."""
        found = self._lanes.find(slot, lane)
        if found is not None:
            found.blocked = False
            self._lanes.drop_if_idle(found)

    def expired(self, now: float, after: float = GIVE_UP) -> list[EventRow]:
        """Give up the heads of lanes that were first tried this many seconds ago.

        For a receiver that is down: all that waits counts as tried from the first call on.
        """
        gone: list[EventRow] = []
        for lane in self._lanes:
            over = list(takewhile(lambda item: given_up(item.first_at, now, after), lane.items))
            del lane.items[: len(over)]
            gone += over
            self._lanes.count(lane.slot, -len(over))
            if lane.items and lane.items[-1].first_at is None:
                lane.items = [_tried(item, now) for item in lane.items]
            self._lanes.drop_if_idle(lane)
        return gone

    def forget(self, slot: int) -> None:
        """The slot is lost. Results of its events in open batches will be ignored.

        Until they come in, the recipients of those stay taken, whoever owns the slot meanwhile.
        """
        self._turns.forget(slot)
        self._lanes.forget(slot)

    def _close(self, batch: list[EventRow]) -> list[tuple[EventLane, list[EventRow]]]:
        """Close an open batch; returns its lanes with their events, without forgotten slots."""
        closed: list[tuple[EventLane, list[EventRow]]] = []
        for lane, items in self._lanes.by_lane(batch).items():
            if lane.closed():
                closed.append((lane, items))
            else:
                self._clear(lane)
        return closed

    def _put_back(self, closed: list[tuple[EventLane, list[EventRow]]]) -> None:
        for lane, items in closed:
            self._lanes.put_back(lane, items)

    def _expel(self, lane: EventLane, failed: list[EventRow]) -> list[EventRow]:
        """Block the lane; returns the failed event and those behind it."""
        out = [*failed, *lane.items]
        self._lanes.count(lane.slot, -len(lane.items))
        lane.items.clear()
        lane.blocked = True
        lane.suspects = lane.quota = 0
        return out

    def _clear(self, lane: EventLane, *, tried: bool = False) -> None:
        """No longer suspected: move to ``lanes``, or back among the others."""
        lane.suspects = lane.quota = 0
        self._turns.offer(lane, tried=tried)
        self._lanes.drop_if_idle(lane)


def _tried(item: EventRow, now: float) -> EventRow:
    return replace(item, first_at=now) if item.first_at is None else item


def body(items: list[EventRow]) -> bytes:
    """The v1 webhook body for events of one kind; their JSON is inserted unchanged."""
    if items[0].kind == STATUS:
        return b'{"statuses":[' + b",".join([item.payload for item in items]) + b"]}"
    arrays = {
        b"contacts": dict.fromkeys(item.contact for item in items if item.contact),
        b"messages": [item.payload for item in items if item.recipient],
        b"errors": [item.payload for item in items if not item.recipient],
    }
    fields = (b'"%b":[%b]' % (name, b",".join(of)) for name, of in arrays.items() if of)
    return b"{" + b",".join(fields) + b"}"

"""Lanes of deliveries: the events of a number and recipient in order, and each lane's state. Pure.

A lane is in one stage at a time:

    IDLE      nothing of it may go: it is empty, or its events are parked
    QUEUED    it stands in one of the queues of ``webhook.lane_queues``, or is set aside with its
    slot OUT       a batch with events of it is open, so no other batch may have any: order holds
    ORPHANED  as OUT, but its slot was lost meanwhile: the result will be ignored

Beside that it may be *blocked*: events of it are parked, and later ones are turned away to be
parked behind them, until the last parked one is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import Enum
from operator import attrgetter

from warouter.flow.event import EventRow

# A lane's events in one batch. Halving them down to one takes four failures, fewer than open
# the circuit: one bad event of a busy recipient is found before it could be taken for an outage.
LANE_EVENTS = 8


class Stage(Enum):
    """The state of a lane: see the table above."""

    IDLE = "idle"
    QUEUED = "queued"
    OUT = "out"
    ORPHANED = "orphaned"


IDLE, QUEUED, OUT, ORPHANED = Stage  # by these names they are found in a third of the time
_slot_of = attrgetter("slot")


class EventLane:
    """The events of one number and recipient, in order; ``key`` is as ``flow.lane_key`` makes it.

    ``suspects`` of its first events belong to a batch that failed, ``quota`` of them are offered
    next (0: not under suspicion).
    """

    __slots__ = ("blocked", "items", "key", "quota", "slot", "stage", "suspects")

    def __init__(self, slot: int, key: str) -> None:
        self.slot = slot
        self.key = key
        self.items: list[EventRow] = []  # nearly always one: a list costs least then
        self.quota = self.suspects = 0
        self.blocked = False
        self.stage = IDLE

    @property
    def out(self) -> bool:
        """True while a batch with events of this lane is open."""
        return self.stage is OUT or self.stage is ORPHANED

    def draw(self, batch: list[EventRow], limit_events: int, room: int) -> int | None:
        """Move events of this lane to ``batch``, to an empty one
        at least its head; returns the room that is left, None if there is not enough for one.
        """
        items, drawn = self.items, 0
        most = min(limit_events, len(batch) + (self.quota or LANE_EVENTS))
        while True:
            item = items[drawn]
            size = size_of(item)
            if batch and (item.attempts or size > room):
                break
            drawn += 1
            batch.append(item)
            room -= size
            if item.attempts or len(batch) >= most or drawn == len(items):
                break
        if not drawn:
            return None
        self.stage = OUT
        del items[:drawn]
        return room

    def closed(self) -> bool:
        """The lane's batch ended; returns if its result counts."""
        counts = self.stage is not ORPHANED
        self.stage = IDLE
        return counts

    def lost(self) -> None:
        """The slot is lost, and the lane's events with it."""
        self.items.clear()
        self.blocked = False
        if self.stage is OUT:
            self.stage = ORPHANED


class EventLanes:
    """The lanes of all slots, and the number of events of each slot in no open batch."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[str, EventLane]] = {}
        self._waiting: dict[int, int] = {}

    def __iter__(self) -> Iterator[EventLane]:
        return iter([lane for lanes in self._slots.values() for lane in lanes.values()])

    @property
    def waiting(self) -> int:
        return sum(self._waiting.values())

    def waiting_of(self, slot: int) -> int:
        return self._waiting.get(slot, 0)

    def find(self, slot: int, key: str) -> EventLane | None:
        return self._slots.get(slot, {}).get(key)

    def of_slot(self, slot: int) -> dict[str, EventLane]:
        """The lanes of a slot by their keys, to find one or to put a new one there."""
        lanes = self._slots.get(slot)
        if lanes is None:
            lanes = self._slots[slot] = {}
        return lanes

    def at(self, slot: int, key: str) -> EventLane:
        """The lane of this key, created if there is none."""
        lanes = self.of_slot(slot)
        lane = lanes.get(key)
        if lane is None:
            lane = lanes[key] = EventLane(slot, key)
        return lane

    def of(self, item: EventRow) -> EventLane:
        """The lane of a drawn event, which is kept while the event is out."""
        return self._slots[item.slot][item.lane]

    def by_lane(self, drawn: list[EventRow]) -> dict[EventLane, list[EventRow]]:
        """Drawn events by their lanes, which are kept while they are out."""
        slots, found = self._slots, dict[EventLane, list[EventRow]]()
        for item in drawn:
            lane = slots[item.slot][item.lane]
            if lane in found:
                found[lane].append(item)
            else:
                found[lane] = [item]
        return found

    def count(self, slot: int, change: int) -> None:
        self._waiting[slot] = self._waiting.get(slot, 0) + change

    def taken(self, batch: list[EventRow]) -> list[EventRow]:
        """Count a batch that was just drawn, and return it."""
        for slot, items in Counter(map(_slot_of, batch)).items():
            self._waiting[slot] -= items
        return batch

    def put_back(self, lane: EventLane, items: list[EventRow]) -> None:
        lane.items[:0] = items
        self.count(lane.slot, len(items))

    def drop_if_idle(self, lane: EventLane) -> None:
        lanes = self._slots.get(lane.slot, {})
        idle = not (lane.items or lane.blocked or lane.out)
        # A forgotten lane may still stand in a queue, with a successor of the same name.
        if idle and lanes.get(lane.key) is lane:
            del lanes[lane.key]

    def forget(self, slot: int) -> None:
        """The slot is lost. Lanes that are out stay, so that nobody draws from them twice."""
        self._waiting.pop(slot, None)
        lanes = self._slots.pop(slot, {})
        for lane in lanes.values():
            lane.lost()
        taken = {key: lane for key, lane in lanes.items() if lane.out}
        if taken:
            self._slots[slot] = taken


def size_of(item: EventRow) -> int:
    """The bytes that an event adds to a POST."""
    return len(item.payload) + len(item.contact or b"") + 2


def halves(parts: list[tuple[EventLane, int]]) -> Iterator[list[tuple[EventLane, int]]]:
    """Two halves with about as many events; lanes are kept whole, so one part may stay one."""
    half = sum(count for _, count in parts) / 2
    cut = taken = 0
    while cut < len(parts) - 1 and (cut == 0 or taken + parts[cut][1] <= half):
        taken += parts[cut][1]
        cut += 1
    if cut:
        yield parts[:cut]
    if parts[cut:]:
        yield parts[cut:]

"""Decides which lanes may be drawn from next, and in which order. Pure.

A queued lane stands in one of five places: those that nothing is known against (``ready``), those
with parked events that are tried again (``wary``), what the receiver refused when it seemed to be
down (``tried``), the halves of failed batches (groups), and what is set aside because its slot is
held. Lanes take turns, first come first served.
"""

from __future__ import annotations

from collections import deque

from warouter.flow.event import EventRow
from warouter.webhook.lane import IDLE, QUEUED, EventLane


class LaneQueues:
    """The queues of lanes for one kind of events."""

    def __init__(self) -> None:
        self._ready: deque[EventLane] = deque()
        self._wary: deque[EventLane] = deque()
        self._tried: deque[EventLane] = deque()
        self._groups: deque[deque[EventLane]] = deque()  # oldest first
        self._held: dict[int, list[EventLane]] = {}  # by slot

    @property
    def any(self) -> bool:
        """True if there may be a batch to take."""
        return bool(self._ready or self._groups or self._wary or self._tried)

    @property
    def fresh(self) -> bool:
        """True if there may be a batch without suspects."""
        return bool(self._ready)

    @property
    def untried(self) -> bool:
        """True if there are lanes that were not deferred."""
        return bool(self._ready or self._wary)

    @property
    def held(self) -> list[int]:
        """The slots whose lanes are set aside."""
        return list(self._held)

    def offer(self, lane: EventLane, *, tried: bool = False) -> None:
        """Queue a lane with events, unless it is queued already or out."""
        if lane.items and lane.stage is IDLE:
            lane.stage = QUEUED
            usual = self._wary if lane.blocked else self._ready
            (self._tried if tried else usual).append(lane)

    def group(self, lanes: list[EventLane]) -> None:
        """Queue the lanes of a half of a failed batch together, as suspects."""
        for lane in lanes:
            lane.stage = QUEUED
        self._groups.append(deque(lanes))

    def ungroup(self) -> list[EventLane]:
        """Dissolve all groups; returns their lanes, which are in no queue then."""
        lanes = [lane for group in self._groups for lane in group]
        self._groups.clear()
        for lane in lanes:
            lane.stage = IDLE
        return lanes

    def restore(self) -> None:
        """Deferred lanes go first, because they waited longest."""
        self._ready.extendleft(reversed(self._tried))
        self._tried.clear()

    def hold(self, slot: int) -> None:
        """Set the lanes of a slot aside when their turn comes."""
        self._held.setdefault(slot, [])

    def resume(self, slot: int) -> None:
        """Queue the lanes of a held slot again; what was suspected before is so still."""
        for lane in self._held.pop(slot, ()):
            lane.stage = IDLE
            if lane.suspects:
                self.group([lane])
            else:
                self.offer(lane)

    def forget(self, slot: int) -> None:
        self._held.pop(slot, None)

    def batch(self, limit_events: int, limit_bytes: int, *, suspects: bool) -> list[EventRow]:
        """The next batch: a failed half, parked events, or others; empty if none may go."""
        while suspects and self._groups:
            group = self._groups[0]
            batch = self._collect(group, limit_events, limit_bytes)
            if not group:
                self._groups.popleft()
            if batch:
                return batch
        # What is found to be blocked among the others joins the wary ones.
        every = (self._wary, self._ready, self._wary, self._tried, self._wary)
        queues = every if suspects else (self._ready,)
        for lanes in queues:
            if batch := self._collect(lanes, limit_events, limit_bytes):
                return batch
        return []

    def probe(self, *, tried: bool) -> list[EventRow]:
        """One event, preferably one that was tried before."""
        return (
            (tried and self._collect(self._tried, 1, 0))
            or self._collect(self._ready, 1, 0)
            or self._collect(self._wary, 1, 0)
        )

    def _collect(
        self, lanes: deque[EventLane], limit_events: int, limit_bytes: int
    ) -> list[EventRow]:
        """Batch the heads of ``lanes``; lanes that were used, are empty or held leave the queue."""
        batch: list[EventRow] = []
        room = limit_bytes
        while lanes and len(batch) < limit_events:
            lane = lanes[0]
            if not lane.items:
                lane.stage = IDLE
            elif lane.blocked and (lanes is self._ready or lanes is self._tried):
                self._wary.append(lanes.popleft())  # blocked while it stood here, or out
                continue
            elif lane.slot in self._held:
                self._held[lane.slot].append(lanes.popleft())
                continue
            elif (left := lane.draw(batch, limit_events, room)) is None:
                break
            else:
                room = left
            lanes.popleft()
            if batch and batch[0].attempts:
                break
        return batch

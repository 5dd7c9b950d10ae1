"""Which lanes may be drawn from next, and in which order. Pure.

A queued lane stands in one of five places: those that nothing is known against (``ready``), those
with parked events that are tried again (``wary``), what the receiver refused when it seemed to be
down (``tried``), the halves of failed batches (groups), and what is set aside because its slot is
held. Lanes take turns, first come first served.
"""

from __future__ import annotations

from collections import deque

from warouter.webhook.body import Item
from warouter.webhook.lane import Lane, Stage, size_of


class Turns:
    """The queues of lanes of one kind of events."""

    def __init__(self) -> None:
        self._ready: deque[Lane] = deque()
        self._wary: deque[Lane] = deque()
        self._tried: deque[Lane] = deque()
        self._groups: deque[deque[Lane]] = deque()  # oldest first
        self._held: dict[int, list[Lane]] = {}  # by slot

    @property
    def any(self) -> bool:
        """Whether there may be a batch to take."""
        return bool(self._ready or self._groups or self._wary or self._tried)

    @property
    def fresh(self) -> bool:
        """The same without what is under suspicion."""
        return bool(self._ready)

    @property
    def untried(self) -> bool:
        """Whether there is more than what was deferred."""
        return bool(self._ready or self._wary)

    @property
    def held(self) -> list[int]:
        """The slots whose lanes are set aside."""
        return list(self._held)

    def offer(self, lane: Lane, *, tried: bool = False) -> None:
        """Let a lane with events queue up, unless it does already or is out."""
        if lane.items and lane.stage is Stage.IDLE:
            lane.stage = Stage.QUEUED
            usual = self._wary if lane.blocked else self._ready
            (self._tried if tried else usual).append(lane)

    def group(self, lanes: list[Lane]) -> None:
        """Offer the lanes of a half of a failed batch together, as suspects."""
        for lane in lanes:
            lane.stage = Stage.QUEUED
        self._groups.append(deque(lanes))

    def ungroup(self) -> list[Lane]:
        """Take all groups apart; their lanes, which queue nowhere then."""
        lanes = [lane for group in self._groups for lane in group]
        self._groups.clear()
        for lane in lanes:
            lane.stage = Stage.IDLE
        return lanes

    def restore(self) -> None:
        """What was deferred goes first: it has waited longest."""
        self._ready.extendleft(reversed(self._tried))
        self._tried.clear()

    def hold(self, slot: int) -> None:
        """Set the lanes of a slot aside as soon as their turn comes."""
        self._held.setdefault(slot, [])

    def resume(self, slot: int) -> None:
        """Offer the lanes of a held slot again."""
        for lane in self._held.pop(slot, ()):
            lane.stage = Stage.IDLE
            self.offer(lane)

    def forget(self, slot: int) -> None:
        self._held.pop(slot, None)

    def batch(self, limit_events: int, limit_bytes: int, *, suspects: bool) -> list[Item]:
        """What goes next: of a failed half, of parked events, of the others; empty if none may."""
        while suspects and self._groups:
            group = self._groups[0]
            batch = self._collect(group, limit_events, limit_bytes)
            if not group:
                self._groups.popleft()
            if batch:
                return batch
        # What is found to be blocked among those that are ready joins the wary ones.
        queues = (self._wary, self._ready, self._wary, self._tried) if suspects else (self._ready,)
        for lanes in queues:
            if batch := self._collect(lanes, limit_events, limit_bytes):
                return batch
        return []

    def probe(self, *, tried: bool) -> list[Item]:
        """One event: of what was tried, or else of the rest."""
        return (
            (tried and self._collect(self._tried, 1, 0))
            or self._collect(self._ready, 1, 0)
            or self._collect(self._wary, 1, 0)
        )

    def _collect(self, lanes: deque[Lane], limit_events: int, limit_bytes: int) -> list[Item]:
        """A batch of what heads ``lanes``; those that are drawn from, empty or held leave it."""
        batch: list[Item] = []
        room = limit_bytes
        while lanes and len(batch) < limit_events:
            lane = lanes[0]
            if not lane.items:
                lane.stage = Stage.IDLE
            elif lane.blocked and lanes is self._ready:
                self._wary.append(lanes.popleft())  # it was blocked while it stood there
                continue
            elif lane.slot in self._held:
                self._held[lane.slot].append(lanes.popleft())
                continue
            else:
                head = lane.items[0]
                if batch and (head.attempts or size_of(head) > room):
                    break
                room = lane.draw(batch, limit_events, room)
            lanes.popleft()
            if batch and batch[0].attempts:
                break
        return batch

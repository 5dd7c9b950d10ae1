"""The business's receiver, and the delivery to it: stands in for ``webhook.Callbacks``.

Each event is POSTed alone, some time after it was added, in the order of its recipient and kind; a
POST may fail, and then its recipient is parked, as the real delivery does it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from tests.campaigns.simulation.history import History
from warouter.webhook.body import Item
from warouter.webhook.owner import Owner

Lane = tuple[int, int, str]
AGAIN = 0.2
PATIENCE = 5.0  # seconds until a POST without an answer counts as failed


class Receiver:
    """How the business answers; one for the whole cluster."""

    def __init__(self, history: History, draw: Callable[[], float]) -> None:
        self.history = history
        self.draw = draw
        self.refuses = 0.0  # how many POSTs fail
        self.hangs = 0.0  # how many recipients' POSTs are left without an answer
        self.seconds = 0.05


class Deliveries:
    """The callbacks of one coreapp."""

    receiver: Receiver  # set by the world, for all

    def __init__(
        self,
        owner: Owner,
        *,
        clock: Callable[[], float],
        **_unused: Any,
    ) -> None:
        self._owner = owner
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[Lane, deque[Item]] = {}
        self._blocked: set[Lane] = set()
        self._flying: Counter[int] = Counter()

    async def run(self) -> None:
        await self._loop.create_future()

    def settings_changed(self) -> None:
        """The receiver stays what it is."""

    def add(self, item: Item) -> None:
        lane = (item.slot, item.kind, item.recipient)
        if lane in self._blocked and item.first_at is None:
            self._owner.on_park([item], 300, "behind a parked one")
            return
        queue = self._lanes.setdefault(lane, deque())
        queue.append(item)
        if len(queue) == 1:
            self._start(lane, queue)

    def block(self, slot: int, recipient: str, kind: int) -> None:
        self._blocked.add((slot, kind, recipient))

    def unblock(self, slot: int, recipient: str, kind: int) -> None:
        self._blocked.discard((slot, kind, recipient))

    def forget(self, slot: int) -> None:
        for lane in [lane for lane in self._lanes if lane[0] == slot]:
            del self._lanes[lane]
        self._blocked = {lane for lane in self._blocked if lane[0] != slot}

    def in_flight_of(self, slot: int) -> int:
        return self._flying[slot]

    def _start(self, lane: Lane, queue: deque[Item]) -> None:
        self._loop.call_later(self.receiver.seconds * self.receiver.draw(), self._post, lane, queue)

    def _post(self, lane: Lane, queue: deque[Item]) -> None:
        if self._lanes.get(lane) is not queue:
            return
        if not self._owner.may_act(lane[0]):
            self._loop.call_later(AGAIN, self._post, lane, queue)
            return
        self._flying[lane[0]] += 1
        if self.receiver.hangs and self.receiver.draw() < self.receiver.hangs:
            self._loop.call_later(PATIENCE, self._answered, lane, queue, True)
            return
        refused = self.receiver.draw() < self.receiver.refuses
        if not refused:
            self.receiver.history.delivers(lane[0], lane[1], queue[0].seq)
        self._loop.call_later(0.005, self._answered, lane, queue, refused)

    def _answered(self, lane: Lane, queue: deque[Item], refused: bool) -> None:
        self._flying[lane[0]] -= 1
        if self._lanes.get(lane) is not queue:
            return
        if refused:
            del self._lanes[lane]
            self._blocked.add(lane)
            now = self._clock()
            first, *rest = queue
            tried = first._replace(attempts=first.attempts + 1, first_at=first.first_at or now)
            self._owner.on_park([tried, *rest], 300, "refused")
            return
        item = queue.popleft()
        if queue:
            self._start(lane, queue)
        else:
            del self._lanes[lane]
        self._owner.on_settled([item])

"""The demo's traffic: to whom, in which turns, and what was answered.

Each recipient gets its messages strictly one after the other, so that their order is defined.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Any

from warouter._hash import SLOTS, slot_of
from warouter.lab.demo.business import Business


class Offered:
    """How many messages have been offered, for those who wait for a certain one."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: dict[int, asyncio.Event] = {}

    def advance(self) -> None:
        self._count += 1
        event = self._waiting.pop(self._count, None)
        if event is not None:
            event.set()

    async def reached(self, count: int) -> None:
        if self._count < count:
            await self._waiting.setdefault(count, asyncio.Event()).wait()


class TrafficLane:
    """The messages to one recipient: never more than one of them is unanswered."""

    def __init__(self) -> None:
        self.busy = False
        self.waiting: deque[str] = deque()
        self.accepted: list[str] = []
        self.doubtful: set[str] = set()
        self.unanswered = 0
        self.refused = 0
        self.seconds: list[float] = []

    async def send(self, business: Business, to: str) -> None:
        while self.waiting:
            begun = time.monotonic()
            answer = await business.send(to, self.waiting.popleft())
            self.seconds.append(time.monotonic() - begun)
            if answer.id:
                self.accepted.append(answer.id)
            elif answer.status:
                self.refused += 1
                self.doubtful |= {answer.doubtful} - {""}
            else:
                self.unanswered += 1
        self.busy = False


def draw_recipients(count: int) -> list[str]:
    """Numbers that no other run has used, spread evenly over the slots."""
    numbers: list[str] = []
    candidate = 4915_0000_0000_000 + random.randrange(10**6) * 10**5
    while len(numbers) < count:
        candidate += 1
        if slot_of(str(candidate)) == len(numbers) % SLOTS:
            numbers.append(str(candidate))
    return numbers


def even_turns(recipients: Iterable[str]) -> Iterator[str]:
    """Recipients for ever, so that slot follows slot at an even spacing."""
    by_slot: dict[int, list[str]] = {}
    for recipient in recipients:
        by_slot.setdefault(slot_of(recipient), []).append(recipient)
    rounds = [cycle(of_slot) for of_slot in by_slot.values()]
    while True:
        yield from (next(of_slot) for of_slot in rounds)


def inbound(sender: str, number: int) -> dict[str, Any]:
    """One inbound message for the simulator; the types take turns."""
    kinds: tuple[dict[str, Any], ...] = (
        {"type": "text", "body": f"inbound {number}"},
        {"type": "image", "body": "a caption", "data": "aW1hZ2U=", "mime": "image/png"},
        {"type": "location", "location": {"latitude": 52.52, "longitude": 13.4}},
        {"type": "contacts", "contacts": [{"name": {"formatted_name": "Ada"}}]},
        {"type": "document", "data": "JVBERg==", "mime": "application/pdf"},
    )
    return {"from": sender, "name": "Customer", **kinds[number % len(kinds)]}

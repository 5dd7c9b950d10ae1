"""Owners that share a number's rate, on virtual time, against a bucket such as Meta's.

It is the arithmetic of ``Budget`` and ``share`` together: who waits how long at a number that is
nearly full, and what is refused when many messages come at once after a pause.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from warouter._hash import SLOTS, slot_of
from warouter.flow.budget import Budget
from warouter.flow.share import Demand, outgoing, share
from warouter.lab.simulator.cloud.limits import Throughput

QUIET = 5.0  # seconds in which they know each other, before anything comes
STEP = 0.001  # a timer is no finer


class Owner:
    """One of them: its messages wait for a token, each since it came."""

    def __init__(self, quota: float) -> None:
        self.name = uuid4()
        self.budget = Budget(quota, 0.0)
        self.waiting: deque[float] = deque()
        self.begun = self.told = 0
        self.timed = False


class Number:
    """So many owners at a number of this level."""

    def __init__(self, level: float, owners: int) -> None:
        self.rate = outgoing(level, 0.0)
        self.owners = [Owner(self.rate) for _ in range(owners)]
        self.meta = Throughput(level)
        self.waits: list[float] = []
        self.refused = 0
        self._demands: dict[Any, tuple[float, float]] = {}
        self._due: list[tuple[float, int, Owner, float | None]] = []
        self._order = count()

    def run(self, comes: Iterable[tuple[float, str]], until: float) -> None:
        """Each message is to a recipient, at a time."""
        for at, recipient in comes:
            owner = self.owners[slot_of(recipient) % len(self.owners)]
            heappush(self._due, (at, next(self._order), owner, at))
        shares = [(n / len(self.owners), owner) for n, owner in enumerate(self.owners)]
        while self._due and self._due[0][0] < until:
            now, _, owner, came = heappop(self._due)
            while shares[0][0] <= now:
                at, sharing = shares.pop(0)
                self._share(sharing, at)
                shares.append((at + 1.0, sharing))
            if came is None:
                owner.timed = False
            else:
                owner.waiting.append(came)
            self._send(owner, now)

    def _share(self, owner: Owner, now: float) -> None:
        demand = len(owner.waiting) + owner.begun - owner.told
        owner.told = owner.begun
        self._demands[owner.name] = demand, now
        rows = [Demand(name, wants, now - at) for name, (wants, at) in self._demands.items()]
        own = SLOTS // len(self.owners)
        owner.budget.grant(share(owner.name, rows, self.rate, own), now)

    def _send(self, owner: Owner, now: float) -> None:
        while owner.waiting and owner.budget.take(now):
            owner.begun += 1
            self.waits.append(now - owner.waiting.popleft())
            self._ask(owner, now)
        if owner.waiting and not owner.timed:
            owner.timed = True
            again = now + max(STEP, owner.budget.due(now))
            heappush(self._due, (again, next(self._order), owner, None))

    def _ask(self, owner: Owner, now: float) -> None:
        if self.meta.may_take(now):
            self.meta.take(now)
        else:
            self.refused += 1
            owner.budget.throttled(now)


def evenly(rate: float, seconds: float) -> list[tuple[float, str]]:
    """To ten thousand recipients in turn."""
    return [(QUIET + n / rate, f"49151{n % 10_000:08d}") for n in range(int(rate * seconds))]


@pytest.mark.parametrize(("level", "rate", "owners"), [(80, 75.0, 2), (1000, 900.0, 4)])
def test_senders_below_the_rate_wait_for_no_token(level: float, rate: float, owners: int) -> None:
    """Chance gives each owner more in one second than in the next: the burst is what evens it."""
    number = Number(level, owners)
    number.run(evenly(rate, 120.0), QUIET + 120.0)
    assert sorted(number.waits)[len(number.waits) * 99 // 100] == 0.0
    assert number.refused == 0


@pytest.mark.parametrize("level", [80, 1000])
def test_a_campaign_after_a_pause_is_not_refused(level: float) -> None:
    """A bucket that is one second deep takes the burst, and then the rate."""
    number = Number(level, 1)
    number.run([(QUIET, f"49151{n:08d}") for n in range(level * 10)], QUIET + 8.0)
    assert number.refused == 0
    assert len(number.waits) >= 8 * number.rate

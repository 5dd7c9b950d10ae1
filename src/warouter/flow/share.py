"""How much of the number's rate each owner may use, and the connections that it takes.

Each owner writes down what it wants to send, reads what all of them wrote, and computes its own
share: from the same rows all come to the same split, so nobody has to lead. Who wants little gets
all of it, the others get equal parts of what is left; what nobody wants is spread over all, so that
a message that comes next leaves at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from warouter._hash import SLOTS

STANDARD, HIGH, SHARED = 80.0, 1000.0, 20.0  # levels: messages a second, in and out
USED = 0.95  # of the level
LEAST = 0.3  # of the level, however much comes in
SPARE_CONNECTIONS = 2  # of an owner, beyond those that its rate takes
FLOOR = 1.0  # messages a second that every owner may send
FRESH_SECONDS = 3.0  # a row that is older counts for nothing, nor does a split with it


class Demand(NamedTuple):
    """The demand that an owner with slots wrote: messages queued, and sent in the last second."""

    incarnation: UUID
    demand: float
    age: float  # in seconds, by the database's clock, now


def outgoing(level: float, inbound: float) -> float:
    """Messages a second that the number may send: the level counts what comes in as well."""
    return max(USED * level - inbound, LEAST * level)


def connections_for(rate: float, latency: float) -> int:
    """Connections for ``rate`` messages a second, nearly all answered in ``latency`` seconds."""
    return math.ceil(rate * latency) + SPARE_CONNECTIONS


def share(own: UUID, rows: Sequence[Demand], rate: float, slots: int) -> float:
    """Messages a second that this owner may send of ``rate``, which is of the whole number.

    Without a fresh row of its own it goes by how many ``slots`` it has.
    """
    fresh = [row for row in rows if row.age <= FRESH_SECONDS]
    for row in fresh:
        if row.incarnation == own:
            return max(FLOOR, _part(row.demand, [each.demand for each in fresh], rate))
    return max(FLOOR, rate * slots / SLOTS)


def _part(demand: float, demands: Sequence[float], rate: float) -> float:
    unused = rate - sum(demands)
    if unused >= 0:
        return demand + unused / len(demands)
    return min(demand, _water(demands, rate))


def _water(demands: Iterable[float], rate: float) -> float:
    """The level up to which each demand is met, so that all that is met makes ``rate``."""
    rising = sorted(demands)
    left = rate
    for met, demand in enumerate(rising):
        level = left / (len(rising) - met)
        if demand >= level:
            return level
        left -= demand
    return math.inf  # less is wanted than there is

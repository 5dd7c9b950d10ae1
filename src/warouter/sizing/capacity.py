"""The rate that an upstream carries, and processes of a kind, also without one machine. Pure."""

from __future__ import annotations

from math import ceil, inf
from typing import NamedTuple

from warouter._hash import SLOTS
from warouter.flow.lanes import WINDOW
from warouter.sizing.costs import COSTS, Costs, most

LOAD = 0.7  # of a process or a core, so that bursts and a restart find room: chosen, not measured
MACHINES = 3  # the fewest that keep two when one is gone


class UpstreamCapacity(NamedTuple):
    """The capacity of the WhatsApp side: messages/s on a connection, ms until a send's answer."""

    rate: float = inf
    answer_ms: float = 0.0


UNLIMITED = UpstreamCapacity()


def one_webapp(costs: Costs = COSTS) -> float:
    """The planned rate of one webapp in messages/s."""
    return most(costs.webapp, LOAD, 1)


def one_coreapp(costs: Costs = COSTS) -> float:
    """The planned rate of one coreapp's core in messages/s."""
    return most(costs.coreapp, LOAD, 1)


def one_writer(costs: Costs = COSTS) -> float:
    """The planned rate of one coreapp's commits, which are sequential, in messages/s."""
    return LOAD * costs.writer_rows_per_s / costs.rows


def windows(upstream: UpstreamCapacity) -> float:
    """The rate in messages/s at which the windows of all slots are full, however many shards."""
    return SLOTS * WINDOW * 1000 / upstream.answer_ms if upstream.answer_ms else inf


def carried(shards: int, spares: int, upstream: UpstreamCapacity, costs: Costs = COSTS) -> float:
    """The rate in messages/s that this many coreapps carry even while a third of them is gone."""
    alive = left(shards + spares)
    owned = ceil(shards / alive)  # by the one that owns most
    one = min(one_coreapp(costs), one_writer(costs), upstream.rate)
    return min(one * shards / owned, windows(upstream))


def left(processes: int) -> int:
    """Number that stays alive when one of three machines is gone, the one with most of them."""
    return processes - ceil(processes / MACHINES)

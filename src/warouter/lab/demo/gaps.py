"""Computes how long slots stood still from the arrival times of messages upstream. Pure.

All times are seconds of one monotonic clock. A slot is seen only when a message of it arrives, so
no time here is finer than the spacing of a slot's messages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple


class Arrival(NamedTuple):
    """The first arrival of one message upstream."""

    at: float
    slot: int
    id: str
    epoch: int


class Failover(NamedTuple):
    """Seconds from the death of an owner to the first message of its slots under a newer epoch.

    ``first`` and ``last`` are of the slot that came back first and last, None when none did;
    ``waiting`` counts the slots of which nothing was seen any more.
    """

    first: float | None
    last: float | None
    waiting: int


def failover(arrivals: Sequence[Arrival], killed_at: float, owned: Mapping[int, int]) -> Failover:
    """The failover of the slots in ``owned`` (slot to epoch at the time of the death)."""
    back: dict[int, float] = {}
    for arrival in sorted(arrivals):
        epoch = owned.get(arrival.slot)
        if epoch is not None and arrival.at >= killed_at and arrival.epoch > epoch:
            back.setdefault(arrival.slot, arrival.at - killed_at)
    times = back.values()
    return Failover(min(times, default=None), max(times, default=None), len(owned) - len(back))


def longest_gap(
    arrivals: Sequence[Arrival], slots: Collection[int], begin: float, end: float
) -> float | None:
    """The longest time without an arrival in one of ``slots``, among gaps that touch begin..end.

    None when nothing arrived on both sides of any moment in between.
    """
    return max(_gaps(arrivals, frozenset(slots), begin, end), default=None)


def unseen(arrivals: Sequence[Arrival], slots: Collection[int], since: float) -> int:
    """How many of ``slots`` had no arrival after ``since``: their gap has no end."""
    return len(set(slots) - {a.slot for a in arrivals if a.at >= since})


def _gaps(
    arrivals: Sequence[Arrival], slots: frozenset[int], begin: float, end: float
) -> Iterator[float]:
    times: dict[int, list[float]] = {}
    for arrival in sorted(arrivals):
        if arrival.slot in slots:
            times.setdefault(arrival.slot, []).append(arrival.at)
    for of_slot in times.values():
        yield from (b - a for a, b in pairwise(of_slot) if b > begin and a < end)

"""Reads the simulator's record of a run, whichever door the messages came through. Pure.

The native door names the epoch of each arrival. The Cloud door knows none, as Meta knows none:
there an arrival has the epoch of the owner that the database names for the time when its request
began.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from warouter._hash import slot_of
from warouter.lab.demo.gaps import Arrival


class EpochStart(NamedTuple):
    """From ``since`` on (monotonic s) the owner of a slot had this epoch."""

    slot: int
    since: float
    epoch: int


class RunRecord(NamedTuple):
    """``ids`` per recipient in the order of their arrival, each repeat included."""

    ids: dict[str, list[str]]
    arrivals: list[Arrival]


def native(record: Mapping[str, Any]) -> RunRecord:
    """From ``GET /record?ids=1&times=1`` of the native door."""
    return RunRecord(record["ids"], [Arrival(*row) for row in record["arrivals"]])


def cloud(record: Mapping[str, Any], owners: Iterable[EpochStart]) -> RunRecord:
    """From ``GET /record?ids=1&requests=1`` of the Cloud door."""
    by_slot: dict[int, list[EpochStart]] = {}
    for owner in sorted(owners):
        by_slot.setdefault(owner.slot, []).append(owner)
    arrivals: dict[str, Arrival] = {}
    for request in sorted(record["requests"], key=_accepted):
        if request["accepted"] is not None:
            slot = slot_of(request["recipient"])
            epoch = _epoch(by_slot.get(slot, []), request["begun"])
            arrival = Arrival(request["accepted"], slot, request["id"], epoch)
            arrivals.setdefault(arrival.id, arrival)
    return RunRecord(record["ids"], list(arrivals.values()))


def _accepted(request: Mapping[str, Any]) -> float:
    return request["accepted"] or 0.0


def _epoch(owners: list[EpochStart], at: float) -> int:
    """The epoch of the last of these owners, in order, who began before; 0 before the first."""
    place = bisect_right(owners, at, key=lambda owner: owner.since)
    return owners[place - 1].epoch if place else 0

"""The figures of a campaign, from marks, arrivals and requests. Pure; seconds in, seconds out."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tests.campaigns.chaos.marks import Mark
from tests.harness.history import History

BEFORE, AFTER = 0.05, 0.5  # requests that began so long before a change, or after its answer
CALM = 0.2  # what is compared with ends so long before it
RANKS = {"p50": 0.5, "p99": 0.99, "most": 1.0}


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report, in milliseconds; ``goal`` in words, ``met`` None: no goal."""

    name: str
    n: int
    p50: float
    p99: float
    most: float
    goal: str
    met: bool | None = None


class Seen:
    """What was seen, with places in time."""

    def __init__(self, history: History) -> None:
        self._a = history.sends
        self._h = history

    def back(self, mark: Mark) -> dict[int, float]:
        """Per slot of the victims: from the fault to the first arrival under a newer epoch.

        Only up to the recovery: a slot that stayed where it was belongs to no failover.
        """
        found: dict[int, float] = {}
        for i in range(bisect_left(self._a.at, mark.at), len(self._a.at)):
            if mark.recovered is not None and self._a.at[i] > mark.recovered:
                break
            slot = self._a.slot[i]
            if slot in mark.owned and slot not in found and self._a.epoch[i] > mark.owned[slot]:
                found[slot] = self._a.at[i] - mark.at
                if len(found) == len(mark.owned):
                    break
        return found

    def shards_back(self, mark: Mark) -> list[float]:
        """The same per shard: its first message by the new owner."""
        first: dict[int, float] = {}
        for slot, seconds in self.back(mark).items():
            shard = slot % (mark.count or 32)
            first[shard] = min(seconds, first.get(shard, math.inf))
        return list(first.values())

    def flowing(self, since: float) -> float | None:
        """From ``since`` until every slot has had an arrival after it."""
        missing = set(range(32))
        for i in range(bisect_left(self._a.at, since), len(self._a.at)):
            missing.discard(self._a.slot[i])
            if not missing:
                return self._a.at[i] - since
        return None

    def waits(self, begin: float, end: float) -> dict[int, float]:
        """Per slot the longest time from a request to its arrival, of requests in between."""
        longest: dict[int, float] = {}
        first = bisect_left(self._a.at, begin)
        for i in range(first, len(self._a.at)):
            if self._a.at[i] > end + 10.0:
                break
            number = self._h.number.get(self._a.id[i])
            if number is None or not begin <= self._h.began[number] <= end:
                continue
            wait = self._a.at[i] - self._h.began[number]
            slot = self._a.slot[i]
            longest[slot] = max(wait, longest.get(slot, 0.0))
        return longest


def figures(seen: Seen, marks: Sequence[Mark], history: History) -> list[Figure]:
    """Every figure for which the run has a mark."""
    return [f for f in _all(seen, marks, history) if f.n]


def _all(seen: Seen, marks: Sequence[Mark], history: History) -> Iterator[Figure]:
    def of(*kinds: str) -> list[Mark]:
        return [m for m in marks if m.kind in kinds]

    def shards(*kinds: str) -> list[float]:
        return [s for m in of(*kinds) for s in seen.shards_back(m)]

    def flowing(kind: str) -> list[float]:
        seconds = [seen.flowing(m.accepts) for m in of(kind) if m.accepts]
        return [each for each in seconds if each is not None]

    killed = shards("kill-owner")
    name = "coreapp killed: first message of its shard by the new owner"
    yield _figure(name, killed, n=100, p50=100, most=400)
    slots = [s for m in of("kill-owner") for s in seen.back(m).values()]
    yield _figure("coreapp killed: every slot of it", slots)
    both = shards("kill-leader-and-owner")
    yield _figure("leading master and an owner killed together", both, n=50, most=750)
    silent = shards("freeze-owner", "cut-owner-database", "isolate-owner")
    yield _figure("owner frozen or cut off (T = 1.5 s)", silent, n=100, most=2000)
    yield _figure("owner cut from its upstream", shards("cut-owner-upstream"))
    yield _figure("owner cut from all webapps", shards("cut-owner-links"))
    yield from _set_shards(seen, of("set-shards", "set-shards-1-to-32"))
    calls = [m.call_s for m in of("set-shards-1-to-32") if m.call_s is not None]
    yield _figure("set-shards 1 to 32: the call", calls, most=2000)
    name = "PostgreSQL killed: all slots send again after it accepts connections"
    yield _figure(name, flowing("kill-postgres"), most=1000)
    name = "database stalled for 2 s: all slots send again after it"
    yield _figure(name, flowing("stall-postgres"))
    yield _figure("the 201 of every request", [wait for _, wait in history.waits()])


def _set_shards(seen: Seen, marks: Sequence[Mark]) -> Iterator[Figure]:
    moved: list[float] = []
    stayed: list[float] = []
    before: list[float] = []
    for mark in marks:
        length = (mark.call_s or 0.0) + AFTER
        waits = seen.waits(mark.at - BEFORE, mark.at + length)
        calm = seen.waits(mark.at - BEFORE - length - CALM, mark.at - CALM)
        moved += [w for slot, w in waits.items() if slot in mark.moved]
        stayed += [w for slot, w in waits.items() if slot not in mark.moved]
        before += calm.values()
    name = "set-shards: longest wait of a message, per moved slot"
    yield _figure(name, moved, p99=250, most=1000)
    yield _figure("set-shards: the same per unmoved slot", stayed, most=50)
    yield _figure("the same just before, for comparison", before)


def _figure(name: str, seconds: Iterable[float], *, n: int = 0, **limits: float) -> Figure:
    """``n``: so many make the figure, by its goal; ``limits`` in milliseconds."""
    ordered = sorted(s * 1000 for s in seconds)
    ranks = {rank: _rank(ordered, share) for rank, share in RANKS.items()}
    goal = [f"{rank.replace('most', 'max')} <= {limit}" for rank, limit in limits.items()]
    return Figure(
        name=name,
        n=len(ordered),
        goal=", ".join([*goal, *([f"n >= {n}"] if n else [])]),
        met=all(ranks[rank] <= limits[rank] for rank in limits) if limits and ordered else None,
        **ranks,
    )


def _rank(ordered: Sequence[float], share: float) -> float:
    """The nearest rank; 0 of nothing."""
    if not ordered:
        return 0.0
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)

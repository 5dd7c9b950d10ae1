"""Counts the messages in doubt in a run, from what coreapps report. Pure.

A doubt may be carried on by the next owner, who begins to count it anew, but it ends once: so ends
are counted. The counters of a process begin at zero with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec

from warouter.metrics import Sample

METRIC = "warouter_cloud_doubt_ended_total"
POLICIES = ("resend", "fail", "hold")  # what can end a doubt when its window is over

Counts = Mapping[UUID, Counter[str]]  # by incarnation: doubts by what ended them


class Doubted(msgspec.Struct, frozen=True):
    """Messages in doubt: how many, by what ended them, and how many are ``open``."""

    ended: Mapping[str, int] = {}
    open: int = 0

    @property
    def total(self) -> int:
        return self.open + sum(self.ended.values())

    def by(self, *ends: str) -> int:
        """How many ended by one of these."""
        return sum(self.ended.get(end, 0) for end in ends)


def ends_in(samples: Iterable[Sample]) -> Counter[str]:
    """The doubts of one process by what ended them."""
    return Counter({s.labels["by"]: int(s.value) for s in samples if s.name == METRIC})


def ended_between(before: Counts, after: Counts) -> Counter[str]:
    """How many doubts ended by what, from one look at the counters to a later one."""
    total: Counter[str] = Counter()
    for incarnation, counts in after.items():
        total += counts - before.get(incarnation, Counter())
    return total

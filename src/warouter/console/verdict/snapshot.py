"""The cluster as the alerts see it: the latest samples, and how much counters grew. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from warouter.cluster.moves import OwnerChange
from warouter.console.verdict.counters import CounterHistory
from warouter.metrics import Sample

# The owner log knows this counter's growth exactly, and of before the console was started.
OWNER_CHANGES = "warouter_owner_changes_total"

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]


class ClusterSnapshot:
    """The cluster at ``now`` (unix time): the latest samples, the counters as they were watched,
    and the latest changes of owners.
    """

    def __init__(
        self,
        now: float,
        samples: Iterable[Sample],
        counters: CounterHistory,
        changes: Sequence[OwnerChange] = (),
    ) -> None:
        self.now = now
        self._latest: dict[str, Vector] = {}
        for sample in samples:
            of_name = self._latest.setdefault(sample.name, {})
            of_name[frozenset(sample.labels.items())] = sample.value
        self._counters = counters
        self._changes = changes

    def latest(self, name: str) -> Vector:
        """The latest value of each series of a metric."""
        return self._latest.get(name, {})

    def increase(self, name: str, seconds: float) -> Vector:
        """By how much each series of a counter grew within so many seconds."""
        if name == OWNER_CHANGES:
            reasons = Counter(c.reason for c in self._changes if c.age_s <= seconds)
            return {frozenset({("reason", reason)}): n for reason, n in reasons.items()}
        return {
            frozenset(labels.items()): grown
            for labels, grown in self._counters.increases(name, self.now - seconds)
        }

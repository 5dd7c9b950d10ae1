"""Is all well? The shipped alerts, judged here, and one sentence of them. Pure.

``rules`` has an entry for each alert of ``deploy/monitoring/warouter.rules.yml``, with its name,
its severity, its bounds and how long it must hold: a test compares them. What an alert asks
Prometheus for is here asked of the last reports, of the state of the database, and of counters as
far back as this console has watched them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from warouter.cluster.moves import OwnerChange
from warouter.console.verdict.counters import CounterHistory
from warouter.metrics import Sample

CRITICAL, WARNING = "critical", "warning"


class ClusterSnapshot(NamedTuple):
    """The cluster as known at ``now`` (unix time).

    That is the newest samples by name, counters, the latest changes of owners, and the names of
    live processes that report nothing.
    """

    now: float
    samples: Mapping[str, Sequence[Sample]]
    counters: CounterHistory
    changes: Sequence[OwnerChange]
    silent: Sequence[str] = ()

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of a gauge, of those that have these labels."""
        return [
            s.value
            for s in self.samples.get(name, ())
            if all(s.labels.get(key) == value for key, value in labels.items())
        ]

    def by(self, label: str, name: str) -> dict[str, list[float]]:
        """The values of a gauge by a label."""
        found: dict[str, list[float]] = {}
        for sample in self.samples.get(name, ()):
            found.setdefault(sample.labels.get(label, ""), []).append(sample.value)
        return found

    def grown(self, name: str, seconds: float, **matching: str) -> float:
        """By how much counters grew within so many seconds, all together."""
        return sum(n for _, n in self.counters.increases(name, self.now - seconds, **matching))

    def grown_by(self, label: str, name: str, seconds: float, **matching: str) -> dict[str, float]:
        """The increases of a counter by a label."""
        found: dict[str, float] = {}
        for labels, n in self.counters.increases(name, self.now - seconds, **matching):
            key = labels.get(label, "")
            found[key] = found.get(key, 0.0) + n
        return found


Judge = Callable[[ClusterSnapshot, "AlertRule"], str | None]


class AlertRule(NamedTuple):
    """One alert. ``judge`` gives a sentence with numbers if it is on, else None.

    ``bounds`` and ``windows`` (seconds) are the numbers of its expression, in their order;
    ``hold`` is for how many seconds it must be on before it fires.
    """

    name: str
    severity: str
    judge: Judge
    bounds: tuple[float, ...] = ()
    windows: tuple[float, ...] = ()
    hold: float = 0.0


class Alert(NamedTuple):
    """A rule that is on: ``pending`` as long as it has not held for long enough."""

    name: str
    severity: str
    sentence: str
    since: float
    pending: bool


class HealthVerdict(NamedTuple):
    """``level``: good, warn, bad; ``sentence`` says why; ``alerts`` are the worst first."""

    level: str
    sentence: str
    alerts: list[Alert]


class AlertWatch:
    """Remembers since when each rule is on: it is asked again and again."""

    def __init__(self, rules: Sequence[AlertRule]) -> None:
        self._rules = rules
        self._since: dict[str, float] = {}

    def judge(self, seen: ClusterSnapshot) -> list[Alert]:
        """The alerts that are on, the worst first."""
        found: list[Alert] = []
        for rule in self._rules:
            sentence = rule.judge(seen, rule)
            if sentence is None:
                self._since.pop(rule.name, None)
                continue
            since = self._since.setdefault(rule.name, seen.now)
            pending = seen.now - since < rule.hold
            found.append(Alert(rule.name, rule.severity, sentence, since, pending))
        found.sort(key=lambda alert: (alert.pending, alert.severity != CRITICAL))
        return found


def verdict(alerts: Sequence[Alert], well: str) -> HealthVerdict:
    """The first sentence of the first page; ``well`` is what it says when no alert is on."""
    on = [alert for alert in alerts if not alert.pending]
    if not alerts:
        return HealthVerdict("good", f"All is well: {well}", [])
    if not on:
        first = alerts[0].sentence
        more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
        said = f"No alert fires, but one will if this lasts: {first}{more}"
        return HealthVerdict("warn", said, list(alerts))
    worst = on[0]
    others = len(on) - 1
    more = f" {others} more {'alert is' if others == 1 else 'alerts are'} on." if others else ""
    level = "bad" if worst.severity == CRITICAL else "warn"
    begins = "Not well" if level == "bad" else "Needs attention"
    return HealthVerdict(level, f"{begins}. {worst.sentence}{more}", list(alerts))


def about(seconds: float) -> str:
    """A span in its greatest unit, rounded down, so that it does not change each second."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length or (seconds >= length and unit != "days"):
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def percent(share: float) -> str:
    return f"{share * 100:.3g} %"

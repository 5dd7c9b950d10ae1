"""Is all well? The shipped alerts, judged here, and one sentence of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from warouter.console.verdict.promql import Query
from warouter.console.verdict.snapshot import ClusterSnapshot, Labels, Vector

CRITICAL = "critical"  # the other severity is a warning
MOST_SAID = 3  # series of which the sentence of one alert tells

_PLACE = re.compile(r"\{\{ \$(?:value|labels\.(?P<label>\w+))(?: \| (?P<form>\w+))? \}\}")


class AlertRule(NamedTuple):
    """One alert: ``query`` is a vector as long as it is on, and ``hold`` for how many seconds it
    must be on before it fires. ``summary`` is a template of Prometheus's.
    """

    name: str
    severity: str
    hold: float
    query: Query
    summary: str


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
    """Remembers since when each series of a rule is on: it is asked again and again."""

    def __init__(self, rules: Sequence[AlertRule]) -> None:
        self._rules = rules
        self._since: dict[tuple[str, Labels], float] = {}

    def judge(self, snapshot: ClusterSnapshot) -> list[Alert]:
        """The alerts that are on, the worst first. As in Prometheus each series must hold."""
        now, known, found = snapshot.now, self._since, list[Alert]()
        self._since = {}
        for rule in self._rules:
            on = rule.query.vector(snapshot)
            since = {labels: known.get((rule.name, labels), now) for labels in on}
            self._since |= {(rule.name, labels): at for labels, at in since.items()}
            fires = {labels for labels, at in since.items() if now - at >= rule.hold}
            if shown := {labels: on[labels] for labels in fires or on}:
                first = min(since[labels] for labels in shown)
                said = sentence(rule.summary, shown)
                found.append(Alert(rule.name, rule.severity, said, first, not fires))
        found.sort(key=lambda alert: (alert.pending, alert.severity != CRITICAL))
        return found


def sentence(summary: str, found: Vector) -> str:
    """A summary filled in for each series, in one line."""
    said = sorted({_filled(summary, labels, value) for labels, value in found.items()})
    more = [f"And {len(said) - MOST_SAID} more"] if len(said) > MOST_SAID else []
    return " ".join(f"{each}." for each in [*said[:MOST_SAID], *more])


def _filled(summary: str, labels: Labels, value: float) -> str:
    def place(match: re.Match[str]) -> str:
        if match["label"]:
            return dict(labels).get(match["label"], "")
        return _FORMS[match["form"] or ""](value)

    return _PLACE.sub(place, summary)


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


def _plain(value: float) -> str:
    return f"{value:,.0f}"


# By the function of Prometheus's templates that a summary names.
_FORMS: Mapping[str, Callable[[float], str]] = {
    "": _plain,
    "humanize": _plain,
    "humanizeDuration": about,
    "humanizePercentage": percent,
}

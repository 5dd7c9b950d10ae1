"""The rules of the shipped alerts: ``make docs`` makes alerts.json of deploy/monitoring."""

from __future__ import annotations

import msgspec

from warouter import STATIC
from warouter.console.verdict.judge import AlertRule
from warouter.console.verdict.promql import parse


class ShippedAlert(msgspec.Struct, frozen=True):
    """An alert in alerts.json. ``runbook`` is its section of docs/3am.md."""

    name: str
    severity: str
    hold: float
    expr: str
    summary: str
    runbook: str


SHIPPED = msgspec.json.decode((STATIC / "alerts.json").read_bytes(), type=tuple[ShippedAlert, ...])
RULES = tuple(AlertRule(s.name, s.severity, s.hold, parse(s.expr), s.summary) for s in SHIPPED)
COUNTERS = frozenset(name for rule in RULES for name in rule.query.counters)
RUNBOOKS = {shipped.name: shipped.runbook for shipped in SHIPPED}

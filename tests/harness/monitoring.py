"""What deploy/monitoring asks for."""

from __future__ import annotations

import json
import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
_WORD = re.compile(r"\b[a-z_]+\b")
# Of the query language; what else is a bare word and neither a label nor in quotes is a metric.
_LANGUAGE = {
    *("sum", "max", "min", "count", "by", "rate", "increase", "or", "and", "vector", "absent"),
    *("time",),
    "up",  # Prometheus's own
}


def expressions() -> list[str]:
    """Every query of the rules and of the dashboard."""
    dashboard = json.loads((FOLDER / "grafana.json").read_text())
    found = [t["expr"] for p in dashboard["panels"] for t in p.get("targets", ())]
    rules = (FOLDER / "warouter.rules.yml").read_text()
    # An expression is the rest of its line, or what follows further to the right.
    return found + re.findall(r"^ +expr: (?:\|\n)?((?:.+\n)(?: {12}.+\n)*)", rules, re.MULTILINE)


def metrics_asked_for() -> set[str]:
    """The names of the metrics in them."""
    names: set[str] = set()
    for expression in expressions():
        bare = re.sub(r'\{[^}]*\}|\[[^]]*\]|by \([^)]*\)|"[^"]*"', " ", expression)
        names |= set(_WORD.findall(bare)) - _LANGUAGE
    return names

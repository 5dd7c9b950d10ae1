"""The alerts of deploy/monitoring as they lie in the package, for the console's verdict."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.harness.monitoring import FOLDER
from tests.harness.runbook import runbooks

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "src" / "warouter" / "static" / "alerts.json"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def shipped() -> list[dict[str, Any]]:
    """The rules of all groups, in the order of the file."""
    groups = yaml.safe_load((FOLDER / "warouter.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def seconds(text: str) -> float:
    """The seconds of a duration such as ``1m30s``."""
    return sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", text))


def made() -> str:
    """The text of alerts.json: an alert a line."""
    sections = runbooks()
    found = [
        {
            "name": rule["alert"],
            "severity": rule["labels"]["severity"],
            "hold": seconds(rule.get("for", "0s")),
            "expr": " ".join(rule["expr"].split()),
            "summary": rule["annotations"]["summary"],
            "runbook": sections[rule["alert"]],
        }
        for rule in shipped()
    ]
    return "[\n" + ",\n".join(map(json.dumps, found)) + "\n]\n"


if __name__ == "__main__":
    SHIPPED.write_text(made())

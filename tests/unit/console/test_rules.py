"""The console judges the shipped alerts as Prometheus does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.harness.alerts import SHIPPED, made, seconds, shipped
from tests.harness.monitoring import FOLDER
from warouter.cluster.moves import OwnerChange
from warouter.console.verdict.counters import CounterHistory
from warouter.console.verdict.judge import AlertWatch
from warouter.console.verdict.rules import COUNTERS, RULES
from warouter.console.verdict.snapshot import OWNER_CHANGES, ClusterSnapshot
from warouter.metric_catalogue import CATALOGUE
from warouter.metrics import Sample

CASES = yaml.safe_load((FOLDER / "warouter.rules.test.yml").read_text())["tests"]


def test_the_alerts_in_the_package_are_those_of_the_file() -> None:
    assert SHIPPED.read_text() == made(), "run `make docs`"


def test_the_counters_that_are_watched_are_those_that_alerts_look_back_at() -> None:
    asked = {name for r in shipped() for name in re.findall(r"(?:rate|increase)\((\w+)", r["expr"])}
    assert asked == COUNTERS
    assert {CATALOGUE[name].type for name in asked} == {"counter"}


def values(text: str) -> list[float]:
    """promtool's notation: ``5x2`` is 5 5 5, ``0+10x2`` is 0 10 20."""
    found: list[float] = []
    for part in text.split():
        first, step, times = re.fullmatch(r"(\d+)(?:\+(\d+))?(?:x(\d+))?", part).groups()  # type: ignore[union-attr]
        found += [float(first) + float(step or 0) * n for n in range(int(times or 0) + 1)]
    return found


class Played:
    """A case of promtool's, played to the rules: each series once, whichever webapp tells of it."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.step = seconds(case["interval"])
        self.series: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = {}
        for given in case["input_series"]:
            name, inner = re.fullmatch(r"(\w+)\{(.*)\}", given["series"]).groups()  # type: ignore[union-attr]
            labels = dict(re.findall(r'(\w+)="([^"]*)"', inner))
            labels.pop("instance", None)
            self.series[name, tuple(labels.items())] = values(given["values"])

    def firing(self) -> Iterator[tuple[float, set[str]]]:
        """The names of the alerts that fire, at each step."""
        counters, watch = CounterHistory(COUNTERS), AlertWatch(RULES)
        changed: list[tuple[float, str]] = []
        for index in range(max(map(len, self.series.values()))):
            now = index * self.step
            samples: list[Sample] = []
            for (name, labels), found in self.series.items():
                if index < len(found):
                    samples.append(Sample(name, found[index], dict(labels)))
                    if name == OWNER_CHANGES and index:
                        more = int(found[index] - found[index - 1])
                        changed += [(now, dict(labels)["reason"])] * more
            counters.look(now, samples)
            changes = [change(now - at, reason) for at, reason in changed if now - at < 900]
            snapshot = ClusterSnapshot(now, samples, counters, changes)
            yield now, {alert.name for alert in watch.judge(snapshot) if not alert.pending}


def change(age: float, reason: str) -> OwnerChange:
    return OwnerChange(
        at="",
        age_s=age,
        slot=0,
        from_node=None,
        to_node=None,
        epoch=1,
        term=None,
        reason=reason,
        observed_age_ms=None,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_rules_judge_as_prometheus_does(case: dict[str, Any]) -> None:
    """Each case that promtool tests the alerts with."""
    at = dict(Played(case).firing())
    looked = 0
    for asked in case.get("promql_expr_test", ()):
        one = re.search(r'alertname="(\w+)"', asked["expr"])
        expected = {
            name
            for sample in asked["exp_samples"]
            for name in re.findall(r'alertname="(\w+)"', sample["labels"])
        }
        fires = at[max(t for t in at if t <= seconds(asked["eval_time"]))]
        assert (fires & {one[1]} if one else fires) == expected, asked
        looked += 1
    for asked in case.get("alert_rule_test", ()):
        fires = at[max(t for t in at if t <= seconds(asked["eval_time"]))]
        assert (asked["alertname"] in fires) == bool(asked["exp_alerts"]), asked
        looked += 1
    assert looked

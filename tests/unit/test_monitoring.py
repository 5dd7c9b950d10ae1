"""deploy/monitoring: what it asks for exists, and promtool finds it right."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.monitoring import FOLDER, expressions, metrics_asked_for
from warouter.metric_catalogue import CATALOGUE, MetricPage


def test_every_metric_exists_on_a_page_that_is_scraped() -> None:
    asked = metrics_asked_for()
    assert len(asked) > 40
    assert asked <= set(CATALOGUE)
    internal = {MetricPage.APP_INTERNAL, MetricPage.DB_INTERNAL}
    assert not {name for name in asked if CATALOGUE[name].page in internal}


def test_a_series_is_counted_once_however_many_webapps_tell_of_it() -> None:
    """Each webapp shows the whole cluster: without `max` a second one would double every sum."""
    for expression in expressions():
        for found in re.finditer(r"(rate|increase)\(", expression):
            before = expression[: found.start()]
            assert re.search(r"max by \([^)]*\) \($", before), expression
    assert all("max" in e or e.startswith("up{") for e in expressions())


def test_every_rule_is_tested() -> None:
    rules = re.findall(r"alert: (\w+)", (FOLDER / "warouter.rules.yml").read_text())
    tested = re.findall(r'alertname="(\w+)"', (FOLDER / "warouter.rules.test.yml").read_text())
    assert len(rules) == 34
    assert set(rules) == set(tested)


def test_the_dashboard_is_one() -> None:
    board = json.loads((FOLDER / "grafana.json").read_text())
    panels = [p for p in board["panels"] if p["type"] != "row"]
    assert len({p["id"] for p in board["panels"]}) == len(board["panels"])
    assert all(p["title"] and p["targets"] and p["datasource"] for p in panels)
    places = [
        (x, y)
        for p in board["panels"]
        for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
        for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))  # none lies on another
    assert max(x for x, _ in places) < 24


@pytest.mark.program("promtool")
def test_promtool_takes_config_and_rules(tmp_path: Path) -> None:
    for file in FOLDER.glob("*.yml"):
        text = file.read_text().replace("/etc/prometheus", str(tmp_path))
        (tmp_path / file.name).write_text(text)
    for name in ("warouter.key", "warouter-ca.crt"):
        (tmp_path / name).touch()
    for command in (
        ["promtool", "check", "config", "--lint-fatal", "prometheus.yml"],
        ["promtool", "check", "rules", "--lint-fatal", "warouter.rules.yml"],
        ["promtool", "test", "rules", "warouter.rules.test.yml"],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

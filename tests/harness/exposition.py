"""Prometheus's text format 0.0.4, by its own reader; what is not exactly right is an error."""

from __future__ import annotations

import math
import re
import subprocess

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

# prometheus_client calls a counter NAME_total, whatever the text says.
_COUNTER = re.compile(r"^(# TYPE \S+) counter$", re.MULTILINE)


def read(text: str) -> list[Sample]:
    """Every sample; AssertionError or ValueError when the text breaks a rule of the format."""
    assert text.endswith("\n") or not text
    families: list[Metric] = list(text_string_to_metric_families(_COUNTER.sub(r"\1 gauge", text)))
    names = [family.name for family in families]
    assert len(set(names)) == len(names), "a name stands in two groups"
    for family in families:
        assert family.type == "gauge", f"{family.name} has no TYPE of ours"
        assert family.documentation, f"{family.name} has no HELP"
        assert family.samples, f"{family.name} has no sample"
    samples = [sample for family in families for sample in family.samples]
    assert all(math.isfinite(sample.value) for sample in samples)
    assert all(sample.timestamp is None for sample in samples)
    series = [(sample.name, frozenset(sample.labels.items())) for sample in samples]
    assert len(set(series)) == len(series), "a series stands twice"
    return samples


def promtool_complaints(text: str) -> list[str]:
    """What `promtool check metrics` has to say."""
    command = ["promtool", "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]

"""The samples of metrics, and the two formats in which they are shown. Pure.

A process collects samples, reports them (``store.reports``), and a webapp shows them all. The
product's names and labels are kept; ours begin with ``warouter_`` and follow Prometheus's rules.
A sample of a name that is not in the catalogue, from a newer build beside this one, is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from warouter.metric_catalogue import CATALOGUE

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NODE = "node"
BUILD_INFO = "warouter_build_info"


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One value. ``labels`` are without ``node``, which the page adds."""

    name: str
    value: float
    labels: dict[str, str] = {}


def labelled(samples: Iterable[Sample], **labels: str) -> list[Sample]:
    """The samples with additional labels."""
    return [Sample(s.name, s.value, {**s.labels, **labels}) for s in samples]


def json_form(samples: Iterable[Sample]) -> dict[str, Any]:
    """The product's JSON: name -> {type, help, data: [{labels, value}]}."""
    return {
        name: {
            "type": CATALOGUE[name].type,
            "help": CATALOGUE[name].help,
            "data": [{"labels": s.labels, "value": _number(s.value)} for s in group],
        }
        for name, group in _grouped(samples).items()
    }


def text_form(samples: Iterable[Sample]) -> str:
    """Prometheus's text format 0.0.4."""
    lines: list[str] = []
    for name, group in _grouped(samples).items():
        lines.append(f"# HELP {name} {_escaped(CATALOGUE[name].help)}")
        lines.append(f"# TYPE {name} {CATALOGUE[name].type}")
        for sample in group:
            pairs = ",".join(f'{k}="{_quoted(v)}"' for k, v in sample.labels.items())
            labels = f"{{{pairs}}}" if pairs else ""
            lines.append(f"{name}{labels} {_number(sample.value)}")
    return "".join(f"{line}\n" for line in lines)


def _grouped(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """Samples by name in the catalogue's order; a repeated series keeps its last value."""
    groups: dict[str, dict[tuple[tuple[str, str], ...], Sample]] = {}
    for sample in samples:
        if sample.name in CATALOGUE:
            key = tuple(sorted(sample.labels.items()))
            groups.setdefault(sample.name, {})[key] = sample
    return {name: list(groups[name].values()) for name in CATALOGUE if name in groups}


def _number(value: float) -> int | float:
    """Whole numbers without a fraction: some clients cannot read anything else."""
    return int(value) if float(value).is_integer() else round(value, 6)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')

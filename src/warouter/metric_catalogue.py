"""The catalogue of metrics: type, page and help of each, from ``static/metrics.json``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from warouter import STATIC


class MetricPage(enum.Enum):
    """The page that shows a metric."""

    WEB = "/metrics"
    APP = "/v1/stats/app"
    APP_INTERNAL = "/v1/stats/app/internal"
    DB = "/v1/stats/db"
    DB_INTERNAL = "/v1/stats/db/internal"
    PROCESS = "/metrics for a webapp, /v1/stats/app for others"


class MetricDescription(NamedTuple):
    """The description of a metric."""

    type: str  # "counter" or "gauge"
    page: MetricPage
    help: str


def _read() -> dict[str, MetricDescription]:
    """The file has the help of each metric by type, page and name, in the order of the pages."""
    text = (STATIC / "metrics.json").read_bytes()
    read = msgspec.json.decode(text, type=dict[str, dict[MetricPage, dict[str, str]]])
    return {
        name: MetricDescription(type_, page, help_)
        for type_, pages in read.items()
        for page, names in pages.items()
        for name, help_ in names.items()
    }


CATALOGUE: Mapping[str, MetricDescription] = _read()

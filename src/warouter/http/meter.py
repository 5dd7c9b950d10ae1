"""Counts requests by label and result, and the time that they take."""

from __future__ import annotations

import itertools
import os
import time
from typing import Protocol

from aiohttp import web

from warouter.metrics import Sample

_OTHER = "other"  # a path that is none of ours: anybody could make up any number of names


class FastPathCounts(Protocol):
    """The fast path's own counts: requests that it took, and those of them without an answer."""

    @property
    def taken(self) -> int: ...

    @property
    def under_way(self) -> int: ...


class Meter:
    """Counters of one webapp, with those of its ``fast_path``."""

    def __init__(self) -> None:
        self._labels: dict[tuple[str, str], str] = {}
        self._by_result: dict[tuple[str, int], list[float]] = {}  # [requests, seconds]
        self._under_way = 0
        self.limited = 0
        self.fast_path: FastPathCounts | None = None
        self._names, self._numbers = os.urandom(4).hex().encode() + b"-%x", itertools.count(1)

    @property
    def under_way(self) -> int:
        """Requests that are being handled."""
        return self._under_way + (self.fast_path.under_way if self.fast_path else 0)

    @property
    def fast(self) -> int:
        """Requests that took the fast path."""
        return self.fast_path.taken if self.fast_path else 0

    def request_id(self) -> bytes:
        """A new id for a request, for its response and the log."""
        return self._names % next(self._numbers)

    def begin(self) -> float:
        self._under_way += 1
        return time.perf_counter()

    def end(self, request: web.Request, status: int, began: float) -> None:
        """Count the end of a request; ``status`` 0 means that the client had left."""
        resource = request.match_info.route.resource
        label = self._label(request.method, resource.canonical) if resource is not None else _OTHER
        self._under_way -= 1
        self.count(label, status, 1, time.perf_counter() - began)

    def count(self, label: str, status: int, requests: int, seconds: float) -> None:
        """Count requests that ended with this status after so many seconds in all."""
        entry = self._by_result.get((label, status))
        if entry is None:
            entry = self._by_result[label, status] = [0, 0.0]
        entry[0] += requests
        entry[1] += seconds

    def samples(self) -> list[Sample]:
        samples = [
            Sample("warouter_requests_answered_total", sum(e[0] for e in self._by_result.values())),
            Sample("warouter_requests_limited_total", self.limited),
            Sample("warouter_requests_fast_total", self.fast),
        ]
        for (method, status), (count, seconds) in self._by_result.items():
            labels = {"method": method, "result": str(status)}
            samples += [
                Sample("api_requests_duration_ms_count", count, labels),
                Sample("api_requests_duration_ms_sum", round(seconds * 1000), labels),
                Sample("endpoint_requests", count, labels),
            ]
        return samples

    def _label(self, method: str, path: str) -> str:
        label = self._labels.get((method, path))
        if label is None:
            label = self._labels[method, path] = label_of(method, path)
        return label


def label_of(method: str, path: str) -> str:
    """The product's label for a route: POST /v1/messages/{id}/ is ``POST_v1_messages_id``."""
    name = path.strip("/").replace("/", "_").replace("{", "").replace("}", "")
    return f"{method}_{name}"

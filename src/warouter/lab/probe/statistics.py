"""Quantiles and shares, with as much certainty as there is. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

_Z = 1.96  # 95 %
# A quantile is told from so many values on: at least one of them lies beyond it.
_QUANTILES = ((0.5, "p50", 1), (0.99, "p99", 100), (0.999, "p99.9", 1000))


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that ``share`` of them do not exceed; there must be some."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> str:
    """``p50 0.21 s, p99 0.80 s, most 1.30 s``; "" without values."""
    if not values:
        return ""
    told = [
        f"{name} {secs(quantile(values, share))}"
        for share, name, least in _QUANTILES
        if len(values) >= least
    ]
    return ", ".join([*told, f"most {secs(max(values))}"])


def share(count: int, of: int) -> str:
    """``9 of 10 (60-98 %)``: with the 95 % interval of Wilson, which holds near 0 and 1 too."""
    if not of:
        return "0 of 0"
    low, high = interval(count, of)
    return f"{count} of {of} ({100 * low:.0f}-{100 * high:.0f} %)"


def interval(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share; ``of`` is not 0."""
    ratio, square = count / of, _Z * _Z
    middle = (ratio + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * math.sqrt(ratio * (1 - ratio) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def secs(value: float) -> str:
    """``0.21 s``, ``12.3 s``, ``300 s``."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f} s"

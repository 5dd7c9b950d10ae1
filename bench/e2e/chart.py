"""Lines over few points, both axes logarithmic, as an SVG that any browser shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

from tests.harness.svg import opened, polyline

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 70, 30, 40, 50


def chart(title: str, along: Sequence[int], lines: Mapping[str, Sequence[float]]) -> str:
    """``lines`` by colour, a value above 0 for each of ``along``; the last one is labelled."""
    every = [value for line in lines.values() for value in line]
    least, most = log2(min(every)), log2(max(every))
    first, last = log2(along[0]), log2(along[-1])

    def x(n: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (log2(n) - first) / (last - first)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (log2(value) - least) / (most - least)

    parts = opened(WIDTH, HEIGHT, LEFT, title)
    for n in along:
        parts.append(f'<line x1="{x(n):.1f}" x2="{x(n):.1f}" {_RISE} stroke="#eee"/>')
        parts.append(f'<text x="{x(n) - 6:.1f}" y="{HEIGHT - 28}">{n}</text>')
    for colour, line in lines.items():
        parts.append(polyline(((x(n), y(v)) for n, v in zip(along, line, strict=True)), colour))
    for n, value in zip(along, line, strict=True):
        parts.append(f'<circle cx="{x(n):.1f}" cy="{y(value):.1f}" r="3"/>')
        parts.append(f'<text x="{x(n) - 45:.1f}" y="{y(value) - 6:.1f}">{value:,.0f}</text>')
    return "\n".join([*parts, "</svg>", ""])


_RISE = f'y1="{TOP}" y2="{HEIGHT - BOTTOM}"'

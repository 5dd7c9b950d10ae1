"""Lines over few points, both axes logarithmic, as an SVG that any browser shows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log2
from typing import NamedTuple

from tests.harness.svg import opened, polyline

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 50, 50, 64, 60


class Line(NamedTuple):
    """Points from left to right, all above 0; ``plain``: without their values."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    plain: bool = False


def chart(title: str, along: str, ticks: Sequence[int], lines: Sequence[Line], form: str) -> str:
    """``along`` names the axis of the ``ticks``; values are written in the format ``form``."""
    values = [value for line in lines for _, value in line.points]
    places = [*ticks, *(n for line in lines for n, _ in line.points)]
    least, most = log2(min(values)), log2(max(values))
    first, last = log2(min(places)), log2(max(places))

    def x(n: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (log2(n) - first) / (last - first)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (log2(value) - least) / (most - least)

    parts = opened(WIDTH, HEIGHT, LEFT, title)
    for n in ticks:
        parts.append(f'<line x1="{x(n):.1f}" x2="{x(n):.1f}" {_RISE} stroke="#eee"/>')
        parts.append(_middle(x(n), HEIGHT - 36, "black", f"{n:,}"))
    parts.append(_middle(WIDTH / 2, HEIGHT - 12, "black", along))
    for place, line in enumerate(lines):
        parts.append(
            f'<text x="{LEFT + 180 * place}" y="38" fill="{line.colour}">━ {line.name}</text>'
        )
        parts.append(polyline(((x(n), y(value)) for n, value in line.points), line.colour))
        for at, value in () if line.plain else line.points:
            parts.append(
                f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="3" fill="{line.colour}"/>'
            )
            parts.append(_middle(x(at), y(value) - 8, line.colour, f"{value:{form}}"))
    return "\n".join([*parts, "</svg>", ""])


def _middle(x: float, y: float, colour: str, text: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{colour}"'
    return f"<text {place}>{escape(text)}</text>"


_RISE = f'y1="{TOP}" y2="{HEIGHT - BOTTOM}"'

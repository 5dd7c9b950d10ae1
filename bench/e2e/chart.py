"""Lines over few points, both axes logarithmic, as an SVG that any browser shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

from tests.harness.svg import opened, polyline

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 70, 30, 40, 50

Line = Sequence[tuple[float, float]]


def chart(
    title: str, ticks: Sequence[int], lines: Mapping[str, Line], plain: str = "", form: str = ",.0f"
) -> str:
    """``lines`` by colour, points from left to right, all above 0; ``ticks`` are along.

    The values are written at the points, in the format ``form``, but for the line of the colour
    ``plain``.
    """
    every = [value for line in lines.values() for _, value in line]
    along = [*ticks, *(n for line in lines.values() for n, _ in line)]
    least, most = log2(min(every)), log2(max(every))
    first, last = log2(min(along)), log2(max(along))

    def x(n: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (log2(n) - first) / (last - first)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (log2(value) - least) / (most - least)

    parts = opened(WIDTH, HEIGHT, LEFT, title)
    for n in ticks:
        parts.append(f'<line x1="{x(n):.1f}" x2="{x(n):.1f}" {_RISE} stroke="#eee"/>')
        parts.append(f'<text x="{x(n) - 6:.1f}" y="{HEIGHT - 28}">{n:,}</text>')
    for colour, line in lines.items():
        parts.append(polyline(((x(n), y(value)) for n, value in line), colour))
        for at, value in line if colour != plain else ():
            parts.append(f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>')
            place = f'x="{x(at) - 45:.1f}" y="{y(value) - 6:.1f}" fill="{colour}"'
            parts.append(f"<text {place}>{value:{form}}</text>")
    return "\n".join([*parts, "</svg>", ""])


_RISE = f'y1="{TOP}" y2="{HEIGHT - BOTTOM}"'

"""Throughput over time with the faults marked, as an SVG that any browser shows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from tests.campaigns.chaos.campaign import Outcome
from tests.harness.svg import opened, polyline

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 1600, 420, 60, 30, 40
COLOURS = (
    ("kill", "#c0392b"),
    ("freeze", "#2471a3"),
    ("flap", "#2471a3"),
    ("cut", "#7d3c98"),
    ("isolate", "#7d3c98"),
    ("swizzle", "#7d3c98"),
    ("set-shards", "#1e8449"),
    ("scale", "#1e8449"),
    ("join", "#1e8449"),
)
OTHER = "#b7950b"


def plot(outcome: Outcome, answered: Sequence[float], arrived: Sequence[float]) -> str:
    """Two lines, accepted and sent a second, and one tick for each fault (hover for its name)."""
    seconds = max(1, int(outcome.ended - outcome.began))
    lines = [_per_second(times, outcome.began, seconds) for times in (answered, arrived)]
    top = max(1, *(max(line) for line in lines))
    width = WIDTH - LEFT - 10

    def x(at: float) -> float:
        return LEFT + width * at / seconds

    def y(rate: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - rate / top)

    parts = opened(
        *(WIDTH, HEIGHT, LEFT),
        "messages a second: accepted (black), sent (grey);"
        " red kills, blue freezes, violet cuts, green shards, yellow others",
    )
    for mark in outcome.marks:
        at = x(mark.at - outcome.began)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"'
            f' stroke="{_colour(mark.kind)}" opacity="0.6">'
            f"<title>{escape(mark.kind)} {escape(' '.join(mark.victims))}</title></line>"
        )
    for line, colour in zip(reversed(lines), ("#999", "black"), strict=True):
        parts.append(polyline(((x(n + 0.5), y(rate)) for n, rate in enumerate(line)), colour))
    rates = [f'<text x="8" y="{y(r) + 4:.1f}">{r}</text>' for r in (0, top // 2, top)]
    times = [
        f'<text x="{x(n):.1f}" y="{HEIGHT - 18}">{n} s</text>'
        for n in range(0, seconds, max(1, seconds // 10))
    ]
    return "\n".join([*parts, *rates, *times, "</svg>"])


def _per_second(times: Sequence[float], began: float, seconds: int) -> list[int]:
    counted = Counter(int(t - began) for t in times if t >= began)
    return [counted[n] for n in range(seconds)]


def _colour(kind: str) -> str:
    return next((colour for word, colour in COLOURS if kind.startswith(word)), OTHER)

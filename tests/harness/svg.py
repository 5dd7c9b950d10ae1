"""The few pieces of SVG that the plots here are made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def opened(width: int, height: int, left: int, title: str) -> list[str]:
    """The beginning of a picture with a white ground and a line of text above; end it yourself."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="16">{escape(title)}</text>',
    ]


def polyline(points: Iterable[tuple[float, float]], colour: str) -> str:
    """A line through all of them, in pixels from the upper left."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}"/>'

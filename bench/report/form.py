"""Figures as text: three digits, and tables in Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NONE = "-"


def number(value: float | None) -> str:
    """With three digits; thousands are whole."""
    if value is None:
        return NONE
    size = abs(value)
    digits = 0 if size >= 100 or not size else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def pair(first: float | None, second: float | None) -> str:
    """Both, or that there is none."""
    return NONE if first is None and second is None else f"{number(first)} / {number(second)}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column is text, the others are figures."""
    lines = [_line(head), "|---|" + "--:|" * (len(head) - 1), *(_line(row) for row in rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

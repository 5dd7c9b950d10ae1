"""What a suite has measured, as a table at its end."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """``seconds`` of one ``event``, and what else was seen of it."""

    where: str
    event: str
    seconds: float
    seen: str = ""


class Table:
    """Rows in the order of time."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, where: str, event: str, seconds: float, seen: str = "") -> None:
        self.rows.append(Row(where, event, seconds, seen))

    def lines(self) -> list[str]:
        """The table as a terminal shows it."""
        widths = [max(len(row[n]) for row in self.rows) for n in (0, 1)] if self.rows else [0, 0]
        return [
            f"{row.where:{widths[0]}}  {row.event:{widths[1]}}  {row.seconds:7.2f} s  {row.seen}"
            for row in self.rows
        ]


TABLE = Table()

"""The 32 slots as a strip: each with the letter of its owner. Pure.

A coreapp keeps its letter as long as its name is known: letters follow the names of all coreapps
that are there, or that the latest changes of owners name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from warouter._hash import SLOTS

TONES = 8  # colours; letters tell more coreapps apart
NOBODY = "\N{EN DASH}"


class Label(NamedTuple):
    """How a coreapp is marked: ``tone`` is its colour, 1 to 8."""

    name: str
    letter: str
    tone: int


class Cell(NamedTuple):
    """One slot: its owner and its successor, None for nobody. ``lost``: its owner does not live."""

    slot: int
    owner: Label | None
    successor: Label | None = None
    lost: bool = False

    @property
    def text(self) -> str:
        """The text of the cell: ``A``, ``A→B``, or a dash."""
        letter = self.owner.letter if self.owner else NOBODY
        return f"{letter}→{self.successor.letter}" if self.successor else letter

    @property
    def words(self) -> str:
        """The cell in words, for people who hear it."""
        said = f"Slot {self.slot}: {self.owner.name if self.owner else 'nobody'}"
        if self.successor:
            said += f", on its way to {self.successor.name}"
        return said + (", which does not live" if self.lost else "")


class Part(NamedTuple):
    """A line of the legend, and of the table: the slots of one owner."""

    owner: Label | None
    slots: list[int]


def labels_of(names: Iterable[str]) -> dict[str, Label]:
    """A label for each name; coreapp-10 comes after coreapp-9."""
    ordered = sorted(set(names), key=_natural)
    return {name: Label(name, _letters(n), n % TONES + 1) for n, name in enumerate(ordered)}


def strip_of(
    owners: Mapping[int, str | None],
    successors: Mapping[int, str | None],
    labels: Mapping[str, Label],
    living: Collection[str],
) -> list[Cell]:
    """All slots in their order; of one that ``owners`` lack nobody knows an owner."""

    def label(name: str | None) -> Label | None:
        return None if name is None else labels.get(name) or Label(name, "?", 0)

    return [
        Cell(
            slot,
            label(owners.get(slot)),
            label(successors.get(slot)),
            owners.get(slot) is not None and owners.get(slot) not in living,
        )
        for slot in range(SLOTS)
    ]


def parts_of(cells: Iterable[Cell]) -> list[Part]:
    """The slots by owner, in the order of the letters; those of nobody come last."""
    found: dict[Label | None, list[int]] = {}
    for cell in cells:
        found.setdefault(cell.owner, []).append(cell.slot)
    known = sorted((owner for owner in found if owner), key=lambda owner: _natural(owner.name))
    parts = [Part(owner, found[owner]) for owner in known]
    return parts + ([Part(None, found[None])] if None in found else [])


def _letters(n: int) -> str:
    """A, B .. Z, AA, AB .."""
    said = ""
    n += 1
    while n:
        n, rest = divmod(n - 1, 26)
        said = chr(ord("A") + rest) + said
    return said


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]

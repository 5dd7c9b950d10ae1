"""Sides that take turns over minutes, each time from a fresh start; medians over the turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import Any, NamedTuple

from bench.e2e.site import Found, say

WORST = "foreign_cores"  # of this the greatest counts

Turn = Callable[[], Awaitable[tuple[Found, list[str]]]]


class Turns(NamedTuple):
    """What was found: ``turns`` by side and number, and what was ``wrong``."""

    turns: dict[str, dict[int, Found]]
    wrong: list[str]

    def medians(self) -> dict[str, Found]:
        """By side; one that was never measured is left out."""
        return {name: medians(list(turns.values())) for name, turns in self.turns.items() if turns}

    def ratios(self, side: str, other: str) -> Found:
        """``side`` by ``other``, number by number: the median of those of each turn that both had.

        A number that is 0 in one of them has no ratio.
        """
        one, two = self.turns.get(side, {}), self.turns.get(other, {})
        found = [_divided(one[n], two[n]) for n in one if n in two]
        return medians(found) if found else {}


async def in_turn(sides: Mapping[str, Turn], times: int, most_seconds: float) -> Turns:
    """Every side so many times, every second time backwards.

    A turn that fails, or is not done after so many seconds of all, is left out, and is wrong.
    """
    ends = asyncio.get_running_loop().time() + most_seconds
    found = Turns({name: {} for name in sides}, [])
    for n in range(times):
        for name in list(sides)[:: -1 if n % 2 else 1]:
            say(f" {name}, {n + 1} of {times}")
            try:
                async with asyncio.timeout_at(ends):
                    figures, facts = await sides[name]()
            except Exception as error:  # the others go on, and the exit code tells
                found.wrong.append(f"{name}: not measured ({type(error).__name__}: {error})")
                continue
            found.turns[name][n] = figures
            found.wrong.extend(f"{name}: {fact}" for fact in facts)
    return found


def medians(turns: list[Found]) -> Found:
    """Number by number, through all levels; of what is in every turn, words as in the first."""
    return {name: _median(name, [turn[name] for turn in turns]) for name in _shared(turns)}


def _median(name: str, values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, dict):
        if name == WORST:
            return {key: max(one[key] for one in values) for key in _shared(values)}
        return medians(values)
    return median(values) if _number(first) else first


def _divided(one: Found, two: Found) -> Found:
    found: Found = {}
    for name in _shared([one, two]):
        if isinstance(one[name], dict):
            found[name] = _divided(one[name], two[name])
        elif _number(one[name]) and one[name] and two[name]:
            found[name] = one[name] / two[name]
    return found


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shared(turns: list[Found]) -> list[str]:
    return [name for name in turns[0] if all(name in turn for turn in turns)]

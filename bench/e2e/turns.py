"""Sides that take turns over minutes, each time from a fresh start, and medians over the turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import Any

from bench.e2e.site import Found, say

WORST = "foreign_cores"  # of this the greatest counts

Turn = Callable[[], Awaitable[tuple[Found, list[str]]]]


async def in_turn(
    sides: Mapping[str, Turn], times: int, most_seconds: float
) -> tuple[dict[str, Found], list[str]]:
    """What each side found, every second time backwards; and what was wrong.

    A turn that fails, or is not done after so many seconds of all, is left out, and is wrong.
    """
    ends = asyncio.get_running_loop().time() + most_seconds
    found: dict[str, list[Found]] = {name: [] for name in sides}
    wrong: list[str] = []
    for n in range(times):
        for name in list(sides)[:: -1 if n % 2 else 1]:
            say(f" {name}, {n + 1} of {times}")
            try:
                async with asyncio.timeout_at(ends):
                    figures, facts = await sides[name]()
            except Exception as error:  # the others go on, and the exit code tells
                wrong.append(f"{name}: not measured ({type(error).__name__}: {error})")
                continue
            found[name].append(figures)
            wrong += [f"{name}: {fact}" for fact in facts]
    return {name: medians(turns) for name, turns in found.items() if turns}, wrong


def medians(turns: list[Found]) -> Found:
    """Number by number, through all levels; of what is in every turn, words as in the first."""
    return {name: _median(name, [turn[name] for turn in turns]) for name in _shared(turns)}


def _median(name: str, values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, dict):
        if name == WORST:
            return {key: max(one[key] for one in values) for key in _shared(values)}
        return medians(values)
    if isinstance(first, bool) or not isinstance(first, int | float):
        return first
    return max(values) if name == WORST else median(values)


def _shared(turns: list[Found]) -> list[str]:
    return [name for name in turns[0] if all(name in turn for turn in turns)]

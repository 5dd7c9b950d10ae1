"""Sides that take turns, round after round; what disturbed a round; medians over rounds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from statistics import median

from bench.e2e.site import Found, say

# A round during which others used more than this part of a core is made once more.
FOREIGN_CORES = 0.3

Side = Callable[[], Awaitable[Found]]
Round = dict[str, Found]  # by side


class Rounds:
    """What was found, round by round; ratios are taken within each."""

    def __init__(self, kept: list[Round], noisy: int) -> None:
        self.kept = kept
        self.noisy = noisy

    @property
    def foreign_cores(self) -> float:
        """Used by others in the most disturbed round that counts."""
        return round(max(map(_foreign, self.kept)), 2)

    def median(self, side: str, what: str) -> float:
        """Of one number of one side."""
        return median(found[side][what] for found in self.kept)

    def ratio(self, side: str, other: str, what: str = "per_s") -> float:
        """The median of the ratios within the rounds."""
        return median(found[side][what] / found[other][what] for found in self.kept)


async def rounds(
    sides: Mapping[str, Side], until: float, wanted: int, what: str = "per_s"
) -> Rounds:
    """So many quiet rounds, every second one backwards; noisy ones are repeated as often at most.

    Once it is ``until`` (monotonic) none is repeated: the least noisy ones count then.
    """
    quiet: list[Round] = []
    noisy: list[Round] = []
    while len(quiet) < wanted and len(noisy) < wanted:
        made = len(quiet) + len(noisy)
        if made >= wanted and time.monotonic() > until:
            break
        names = list(sides) if made % 2 == 0 else list(reversed(sides))
        found = {name: await sides[name]() for name in names}
        foreign = _foreign(found)
        (noisy if foreign > FOREIGN_CORES else quiet).append(found)
        numbers = ", ".join(f"{name} {found[name][what]:,.5g}" for name in sides)
        note = f" (noisy: others used {foreign:.1f} cores)" if foreign > FOREIGN_CORES else ""
        say(f"  {numbers}{note}")
    kept = sorted(quiet + noisy, key=_foreign)[:wanted]
    return Rounds(kept, len(noisy))


def medians(found: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Of each name, over all that were found."""
    every = list(found)
    return {name: round(median(one[name] for one in every), 1) for name in every[0]}


def _foreign(found: Round) -> float:
    return max(float(one["foreign_cores"]) for one in found.values())

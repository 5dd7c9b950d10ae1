"""Coreapps that are alive but useless: unreachable, without upstream, or unable to write.

Rules of this file:
  * a trouble counts only when it has lasted for a moment, so that one which all share has time to
    show itself at all of them;
  * what all coreapps share is no trouble of any one of them: nothing is counted then, nor for a
    while afterwards, since they do not recover in the same instant;
  * what was counted is over only when it has been gone for a while.

Time is what passes between answered polls, as with the silence of a beat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from uuid import UUID

UNREACHABLE, UPSTREAM, JOURNAL = "unreachable", "upstream", "journal"
LASTED = {UNREACHABLE: 1.0, UPSTREAM: 0.6, JOURNAL: 1.0}  # seconds until it counts


class Trouble:
    """One kind of trouble over time: it counts once it has
    ``lasted``, and is over after a ``rest``.
    """

    def __init__(self, lasted: float, rest: float) -> None:
        self._lasted = lasted
        self._rest = rest
        self._shared_for = 0.0  # how long a shared trouble goes on to excuse everybody
        self._ailing: dict[UUID, float] = {}
        self._fine: dict[UUID, float] = {}
        self.counted: set[UUID] = set()

    @property
    def ailing(self) -> Set[UUID]:
        """Return the nodes that have the trouble now, alone, whether it counts already or not."""
        return self._ailing.keys()

    def excuse(self) -> None:
        """Excuse an outage that all coreapps shared: they may not end it in the same instant."""
        self._shared_for = self._rest

    def observe(self, gap: float, living: Set[UUID], ailing: Set[UUID]) -> None:
        """``gap`` seconds after the last observation, ``ailing`` among the ``living`` have it."""
        ailing = living & ailing
        shared = bool(living) and ailing == living
        self._shared_for = self._rest if shared else max(0.0, self._shared_for - gap)
        alone = ailing if self._shared_for == 0.0 else frozenset[UUID]()
        self._ailing = _aged(self._ailing, alone, gap)
        self.counted |= {inc for inc, age in self._ailing.items() if age >= self._lasted}
        self.counted &= living
        self._fine = _aged(self._fine, self.counted - ailing, gap)
        self.counted -= {inc for inc, age in self._fine.items() if age >= self._rest}


def reported(reports: Mapping[UUID, Set[UUID]]) -> set[UUID]:
    """Coreapps that most live webapps cannot reach; ``reports``
    has each webapp's unreachable ones.
    """
    count = Counter(coreapp for unreached in reports.values() for coreapp in unreached)
    return {coreapp for coreapp, webapps in count.items() if webapps * 2 > len(reports)}


def _aged(ages: Mapping[UUID, float], present: Set[UUID], gap: float) -> dict[UUID, float]:
    return {inc: ages[inc] + gap if inc in ages else 0.0 for inc in present}

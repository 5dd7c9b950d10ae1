"""Decides through which coreapp messages go while a webapp has no link to their owner.

Pure, but for the random numbers given.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from random import Random
from uuid import UUID

# A link that is down for so long is worth a detour and a report; a coreapp that starts, or whose
# slots are about to be taken over, is not.
PATIENCE_SECONDS = 0.3
BARREN_SECONDS = 1.0  # a coreapp that did not reach the owner either is not asked again so soon


class Detours:
    """The state of detours. ``now`` is in seconds of the caller's clock."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._down: dict[UUID, float] = {}
        self._via: dict[UUID, UUID] = {}
        self._barren: dict[tuple[UUID, UUID], float] = {}

    def down(self, coreapp: UUID, until: float) -> None:
        """There is no link; it is waited for until ``until``."""
        self._down.setdefault(coreapp, until)

    def up(self, coreapp: UUID) -> None:
        self._down.pop(coreapp, None)
        self._via.pop(coreapp, None)

    def forget(self, coreapp: UUID) -> None:
        """The coreapp is gone for good."""
        self.up(coreapp)
        self._barren = {pair: at for pair, at in self._barren.items() if coreapp not in pair}

    def unreached(self, now: float) -> list[UUID]:
        """Coreapps without a link for some time, which this webapp reports."""
        return [inc for inc, until in self._down.items() if now >= until]

    def via(self, owner: UUID, ready: Collection[UUID], now: float) -> UUID | None:
        """One of the ``ready`` coreapps that relays messages for ``owner``; None to wait."""
        if now < self._down.get(owner, math.inf):
            return None
        fit = [inc for inc in ready if inc != owner and self._barren.get((owner, inc), now) <= now]
        if self._via.get(owner) not in fit:
            self._via.pop(owner, None)
            if fit:
                self._via[owner] = self._random.choice(fit)
        return self._via.get(owner)

    def failed(self, owner: UUID, via: UUID, now: float) -> None:
        """``via`` did not reach the owner either."""
        self._barren[owner, via] = now + BARREN_SECONDS

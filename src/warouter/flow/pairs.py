"""How often one recipient may be written to, before the Cloud API refuses it with 131056.

It takes one message every 6 s to one user, and bursts that are borrowed from later: a bucket of 45
tokens. Of each recipient we keep only when its bucket is full again; one that is full is forgotten,
which loses nothing. At a thousand messages a second that leaves some 6,000 recipients, and every
one of them is forgotten after 4.5 minutes.
"""

from __future__ import annotations

import math

PAIR_SECONDS = 6.0
PAIR_DEPTH = 45
MOST_RECIPIENTS = 100_000  # in memory
MOST_REFUSED = 10_000  # recipients whose refusals are counted, the newest
MOST_BACKOFF_SECONDS = 4096.0
_SWEEP_FROM = 1_000
_LATEST = (PAIR_DEPTH - 1) * PAIR_SECONDS  # until the bucket is full, if one token is left


class Pairs:
    """The buckets of an owner's recipients. Times are the caller's seconds, of a steady clock."""

    def __init__(self, most: int = MOST_RECIPIENTS) -> None:
        self._full_at: dict[int, float] = {}  # by the digits as a number: half the size of text
        self._refused: dict[int, int] = {}  # how often in a row, by recipient
        self._most = most
        self._sweep_from = min(_SWEEP_FROM, most)

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, recipient: str, now: float) -> float:
        """Take a token of this recipient, who is digits: 0, or the seconds until there is one."""
        key = int(recipient)
        full_at = max(self._full_at.get(key, now), now)
        wait = full_at - now - _LATEST
        if wait > 0:
            return wait
        self._keep(key, full_at + PAIR_SECONDS, now)
        return 0.0

    def refused(self, recipient: str, now: float) -> None:
        """The Cloud API answered 131056: somebody else writes to this recipient too.

        One token is left, for the same message after its back-off.
        """
        key = int(recipient)
        self._keep(key, now + _LATEST, now)
        refused = self._refused.pop(key, 0)
        if len(self._refused) >= MOST_REFUSED:
            self._refused.pop(next(iter(self._refused)))
        self._refused[key] = refused + 1

    def taken(self, recipient: str) -> None:
        """The Cloud API has taken a message to this recipient."""
        if self._refused:
            self._refused.pop(int(recipient), None)

    def backoff(self, recipient: str) -> float:
        """Seconds before the message that this recipient could not get goes again."""
        return backoff(self._refused.get(int(recipient), 1) - 1)

    def _keep(self, key: int, full_at: float, now: float) -> None:
        if len(self._full_at) >= self._sweep_from and key not in self._full_at:
            self._sweep(now)
        self._full_at[key] = full_at

    def _sweep(self, now: float) -> None:
        """Forget who is full; if too many are left, the half of them that is full first."""
        kept = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        if len(kept) > self._most * 7 // 8:
            middle = sorted(kept.values())[len(kept) // 2]
            kept = {key: full_at for key, full_at in kept.items() if full_at > middle}
        self._full_at = kept
        self._sweep_from = min(self._most, max(_SWEEP_FROM, 2 * len(kept)))


def backoff(refusals: int) -> float:
    """Seconds before a message is sent again that got 131056 so many times before this one."""
    return min(MOST_BACKOFF_SECONDS, math.pow(4.0, min(refusals, 16)))

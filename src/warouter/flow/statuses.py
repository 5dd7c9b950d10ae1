"""Which statuses of a message v1 hears, whatever order, attempts and repeats they come in. Pure.

Rules of this file:
  * what is shown never moves backwards: sent, delivered, read;
  * ``failed`` is shown once each attempt that may exist has failed, and never after delivered;
  * after a shown ``failed`` nothing else is shown: it is a contradiction, and counted.
"""

from __future__ import annotations

from typing import NamedTuple

RANKS = {"sent": 1, "delivered": 2, "read": 3}
FAILED = "failed"


class KnownStatuses(NamedTuple):
    """The statuses of one message that are known."""

    rank: int = 0  # the greatest that was shown
    failed: frozenset[int] = frozenset()  # attempts of which a failure is known
    over: bool = False  # ``failed`` was shown
    contradictions: int = 0


def show(
    seen: KnownStatuses, open_attempts: frozenset[int], attempt: int, status: str
) -> tuple[KnownStatuses, str | None]:
    """One status of one attempt: what is known then, and what v1 hears of it, or None.

    ``open_attempts`` may exist: their requests were begun, and are not known to be refused.
    """
    rank = RANKS.get(status)
    if rank is not None:
        if seen.over:
            return _contradicted(seen), None
        if rank > seen.rank:  # nearly always
            return KnownStatuses(rank, seen.failed, seen.over, seen.contradictions), status
        return seen, None
    if status == FAILED:
        seen = seen._replace(failed=seen.failed | {attempt})
    if not seen.failed or seen.over or not open_attempts <= seen.failed:
        return seen, None
    if seen.rank >= RANKS["delivered"]:
        return _contradicted(seen), None
    return seen._replace(over=True), FAILED


def _contradicted(seen: KnownStatuses) -> KnownStatuses:
    return seen._replace(contradictions=seen.contradictions + 1)

"""Which faults in which order: drawn from a seed, so that a run can be repeated. Pure."""

from __future__ import annotations

from random import Random
from typing import NamedTuple


class Times(NamedTuple):
    """``harmless``: no coreapp is dead, or silent for longer than a lease."""

    short: int
    long: int
    harmless: bool = False


# How often each fault comes in a short run and in a long one. The long counts of the first seven
# are what the figures ask for (n >= 100, 50, 100).
COUNTS = {
    "kill-owner": Times(8, 100),
    "kill-leader-and-owner": Times(4, 50),
    "freeze-owner": Times(4, 50),
    "cut-owner-database": Times(4, 40),
    "isolate-owner": Times(1, 10),
    "set-shards": Times(6, 30, harmless=True),
    "set-shards-1-to-32": Times(1, 4, harmless=True),
    "set-shards-and-kill": Times(3, 10),
    "set-shards-twenty-at-once": Times(1, 2),
    "scale-up-and-down": Times(1, 3),
    "join-doubled-up": Times(1, 2),
    "rolling-restart": Times(1, 3),
    "stop-owner": Times(2, 6, harmless=True),
    "kill-leader": Times(1, 4, harmless=True),
    "kill-webapp": Times(2, 6, harmless=True),
    "kill-two-owners": Times(1, 4),
    "crash-loop": Times(1, 2),
    "freeze-owner-short": Times(2, 6, harmless=True),
    "freeze-leader": Times(1, 4, harmless=True),
    "freeze-leader-and-owner": Times(1, 3),
    "flap-freeze": Times(1, 2, harmless=True),
    "use-up-files": Times(1, 4, harmless=True),
    "cut-owner-database-short": Times(1, 4, harmless=True),
    "cut-owner-upstream": Times(1, 6),
    "cut-owner-links": Times(1, 6),
    "cut-owner-from-a-webapp": Times(1, 6),
    "cut-leader": Times(1, 4, harmless=True),
    "cut-webapp-database": Times(1, 2, harmless=True),
    "flap-owner-database": Times(1, 2),
    "swizzle": Times(1, 3),
    "kill-postgres": Times(2, 8, harmless=True),
    "restart-postgres": Times(1, 4, harmless=True),
    "stall-postgres": Times(1, 6, harmless=True),
    "stall-statements": Times(1, 3),
    "end-sessions-of-owner": Times(1, 3, harmless=True),
    "end-sessions-of-webapp": Times(1, 2, harmless=True),
    "end-leader-session": Times(1, 2, harmless=True),
    "silent-names": Times(1, 3, harmless=True),
    "upstream-disconnect": Times(1, 3, harmless=True),
    "upstream-throttle": Times(1, 4, harmless=True),
    "upstream-repeats": Times(1, 3, harmless=True),
    "upstream-reorders": Times(1, 2, harmless=True),
    "upstream-slow": Times(1, 2, harmless=True),
    "upstream-frozen": Times(1, 2, harmless=True),
    "webhook-fails": Times(1, 3, harmless=True),
    "webhook-down": Times(1, 2, harmless=True),
    "upstream-loses": Times(1, 3),
    "upstream-breaks": Times(1, 3),
    "cannot-write": Times(1, 3),
    "failing-statements": Times(1, 3),
    "slow-commits": Times(1, 3),
}
SHORT, LONG = 0, 1


def drawn(seed: int, profile: int) -> list[str]:
    """The names of the faults of a profile in the order of this seed."""
    names = [name for name, counts in COUNTS.items() for _ in range(counts[profile])]
    Random(seed).shuffle(names)
    return names

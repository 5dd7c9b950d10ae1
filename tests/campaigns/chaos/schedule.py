"""Which faults in which order: drawn from a seed, so that a run can be repeated. Pure."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

NATIVE, CLOUD = "simulator", "cloud"  # the doors
DOORS = (NATIVE, CLOUD)


class Times(NamedTuple):
    """``harmless``: no coreapp is dead, or silent for longer than a lease. ``doors`` that have it;
    a short run shares what both have between them.
    """

    short: int
    long: int
    harmless: bool = False
    doors: tuple[str, ...] = DOORS


# How often each fault comes in a short run and in a long one. The long counts of the first seven
# are what the figures ask for (n >= 100, 50, 100).
COUNTS = {
    "kill-owner": Times(6, 100),
    "kill-leader-and-owner": Times(2, 50),
    "freeze-owner": Times(2, 50),
    "cut-owner-database": Times(2, 40),
    "isolate-owner": Times(1, 10),
    "set-shards": Times(4, 30, harmless=True),
    "set-shards-1-to-32": Times(1, 4, harmless=True),
    "set-shards-and-kill": Times(2, 10),
    "set-shards-twenty-at-once": Times(1, 2),
    "scale-up-and-down": Times(1, 3),
    "join-doubled-up": Times(1, 2),
    "rolling-restart": Times(1, 3),
    "stop-owner": Times(2, 6, harmless=True),
    "stop-two-coreapps": Times(2, 10, harmless=True),
    "power-off-machine": Times(2, 10, harmless=True),
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
    "upstream-disconnect": Times(1, 3, harmless=True, doors=(NATIVE,)),
    "upstream-throttle": Times(1, 4, harmless=True, doors=(NATIVE,)),
    "upstream-repeats": Times(1, 3, harmless=True),
    "upstream-reorders": Times(1, 2, harmless=True),
    "upstream-slow": Times(1, 2, harmless=True, doors=(NATIVE,)),
    "upstream-frozen": Times(1, 2, harmless=True),
    "webhook-fails": Times(1, 3, harmless=True),
    "webhook-down": Times(1, 2, harmless=True),
    "upstream-loses": Times(1, 3, doors=(NATIVE,)),
    "upstream-breaks": Times(1, 3, doors=(NATIVE,)),
    "cannot-write": Times(1, 3),
    "failing-statements": Times(1, 3),
    "slow-commits": Times(1, 3),
    "cloud-takes-and-drops": Times(1, 6, harmless=True, doors=(CLOUD,)),
    "cloud-drops": Times(1, 6, harmless=True, doors=(CLOUD,)),
    "cloud-half-answers": Times(0, 4, harmless=True, doors=(CLOUD,)),
    "cloud-fails-after": Times(1, 6, harmless=True, doors=(CLOUD,)),
    "cloud-fails-before": Times(1, 6, harmless=True, doors=(CLOUD,)),
    "cloud-answers-nonsense": Times(1, 4, harmless=True, doors=(CLOUD,)),
    "cloud-slow": Times(0, 3, harmless=True, doors=(CLOUD,)),
    "cloud-late-and-kill": Times(1, 6, doors=(CLOUD,)),
    "cloud-drops-and-kill": Times(1, 10, doors=(CLOUD,)),
    "cloud-resets-reused": Times(1, 4, harmless=True, doors=(CLOUD,)),
    "cloud-closes-idle": Times(0, 3, harmless=True, doors=(CLOUD,)),
    "cloud-refuses": Times(1, 3, harmless=True, doors=(CLOUD,)),
    "cloud-line-cut": Times(1, 6, doors=(CLOUD,)),
    "cloud-deaf": Times(1, 6, doors=(CLOUD,)),
    "cloud-throttles": Times(1, 4, harmless=True, doors=(CLOUD,)),
    "cloud-upgrade": Times(0, 3, harmless=True, doors=(CLOUD,)),
    "cloud-token-expires": Times(1, 4, harmless=True, doors=(CLOUD,)),
    "cloud-statuses-mixed": Times(1, 6, harmless=True, doors=(CLOUD,)),
    "cloud-every-second-post": Times(1, 4, harmless=True, doors=(CLOUD,)),
    "cut-webapp-webhooks": Times(1, 4, harmless=True, doors=(CLOUD,)),
    "cloud-outage": Times(0, 4, harmless=True, doors=(CLOUD,)),
    "cloud-withholds": Times(1, 6, harmless=True, doors=(CLOUD,)),
    "cloud-fails-without-reference": Times(1, 4, harmless=True, doors=(CLOUD,)),
    "cloud-holds-templates": Times(1, 4, doors=(CLOUD,)),
    "kill-webapps": Times(1, 4, harmless=True, doors=(CLOUD,)),
}
SHORT, LONG = 0, 1


def drawn(seed: int, profile: int, door: str = NATIVE) -> list[str]:
    """The names of the faults of a profile in the order of this seed."""
    names = [name for name, times in COUNTS.items() for _ in _of(times, profile, door)]
    Random(seed).shuffle(names)
    return names


def shared(seed: int) -> dict[str, list[str]]:
    """The faults of a short run for each door. What both have is shared, so that a run takes as
    long as one door's would, and over some seeds each door gets everything.
    """
    random = Random(seed)
    found: dict[str, list[str]] = {door: [] for door in DOORS}
    for name, times in COUNTS.items():
        turn = random.randrange(len(times.doors))
        for n in range(times.short):
            found[times.doors[(turn + n) % len(times.doors)]].append(name)
    for names in found.values():
        random.shuffle(names)
    return found


def _of(times: Times, profile: int, door: str) -> range:
    return range(times[profile] if door in times.doors else 0)

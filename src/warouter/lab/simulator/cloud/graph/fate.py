"""Draws the fate of one request for a message before it is read. Pure but for that."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from warouter.lab.simulator.cloud.faults import CloudFaults


class RequestFate(NamedTuple):
    """``end``: what happens in place of the answer, "" for nothing; times in seconds. It is looked
    at so ``late``; if it ``abandons``, it is taken only if somebody is there then to hear of it.

    Before the message is taken: drop_before, fail_before, bare_throttle; after it: drop_after,
    fail_after, half, unanswered.
    """

    end: str = ""
    late: float = 0.0
    latency: float = 0.0
    abandons: bool = False

    @property
    def loses_answer(self) -> bool:
        """True if the message is taken and its answer never comes."""
        return self.end in _AFTER

    @property
    def takes_nothing(self) -> bool:
        """True if the message is not taken."""
        return self.end in _BEFORE


GOOD = RequestFate()
_BEFORE = ("drop_before", "fail_before", "bare_throttle")
_AFTER = ("drop_after", "fail_after", "half", "unanswered")


def drawn(faults: CloudFaults, random: Random) -> RequestFate:
    """The fate of the next request; at most one end, the first that is drawn."""
    if not faults.troubles:
        return GOOD
    end = ""
    for name in (*_BEFORE, *_AFTER):
        share = getattr(faults, name)
        if share and random.random() < share:
            end = name
            break
    late = 0.0
    if faults.late and random.random() < faults.late:
        late = random.uniform(faults.late_least_ms, faults.late_ms) / 1000
    abandons = bool(faults.abandon) and random.random() < faults.abandon
    if abandons:
        late += faults.abandon_ms / 1000
    latency = random.uniform(faults.latency_ms, faults.latency_most_ms or faults.latency_ms) / 1000
    if faults.slow and random.random() < faults.slow:
        latency += faults.slow_ms / 1000
    return RequestFate(end, late, latency, abandons)

"""Delays before the next attempt, in seconds unless a name says otherwise. Pure."""

from __future__ import annotations


def backoff(attempt: int, *, first: float, most: float, draw: float) -> float:
    """Doubling delay in seconds before try ``attempt`` + 1 (0 is the first), capped at ``most``.

    ``draw`` is a random number from 0 to 1 and takes up to half of the delay away: what failed for
    many at once is not tried again by all of them in step.
    """
    return min(most, first * (1 << min(attempt, 30))) * (1 - draw / 2)


def linear_ms(failures: int, *, step_ms: int, most_ms: int) -> int:
    """The product's callback back-off: n steps after n failures, capped at ``most_ms``."""
    return min(most_ms, failures * step_ms)

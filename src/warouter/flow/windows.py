"""How long a message in doubt waits before its policy decides.

A message is in doubt when nobody knows whether the Cloud API took it. The wait is the fence that
the Cloud API does not have, so it is longer than any request of a former owner can last (the
configuration warns of a base below that). It counts only while the way of webhooks is proven, see
``flow.proof``; without a proof it ends at ``Window.blind``.

All of it scales with one base, ``WAROUTER_CLOUD_DOUBT_SECONDS``, so that tests need not wait.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

BASE_SECONDS = 60.0  # the base for which the figures below are meant

ORDINARY_SECONDS = 60.0
AUTHENTICATION_SECONDS = 35.0  # a second code harms less than none
HELD_SECONDS = 65 * 60.0  # what the Cloud API holds back is released within an hour
BLIND_FACTOR = 10.0
BLIND_MOST_SECONDS = 2 * 3600.0


class Wait(Enum):
    """The kinds of messages whose waits in doubt differ."""

    ORDINARY = "ordinary"
    AUTHENTICATION = "authentication"  # a template of that category
    HELD = "held"  # a marketing template, or one that was held for its quality lately


class Window(NamedTuple):
    """The wait of one message, in seconds since its doubt began."""

    ends: float  # with a proof
    blind: float  # without
    lane: float  # from then on what is behind it may go; never later than ``ends``


class Windows(NamedTuple):
    """Every span of a doubt, in seconds; ``base`` is what an ordinary message waits."""

    base: float = BASE_SECONDS

    def of(self, kind: Wait) -> Window:
        """The wait of a message of this kind."""
        ends = self.scaled(_ENDS[kind])
        blind = min(BLIND_FACTOR * ends, self.scaled(BLIND_MOST_SECONDS))
        return Window(ends, blind, min(ends, self.scaled(ORDINARY_SECONDS)))

    def scaled(self, seconds: float) -> float:
        """A span that is meant for the default base, for this one."""
        return seconds * self.base / BASE_SECONDS


_ENDS = {
    Wait.ORDINARY: ORDINARY_SECONDS,
    Wait.AUTHENTICATION: AUTHENTICATION_SECONDS,
    Wait.HELD: HELD_SECONDS,
}

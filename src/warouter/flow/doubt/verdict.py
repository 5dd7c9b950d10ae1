"""The policy's decision about a message in doubt, as time passes. Pure."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple


class Policy(StrEnum):
    """The business's choice for a message that stays in doubt to the end of its window."""

    RESEND = "resend"
    FAIL = "fail"
    HOLD = "hold"


class DoubtRule(NamedTuple):
    """How a message in doubt is treated; seconds. ``lane``: those behind it wait for so long."""

    policy: Policy
    window: float
    blind: float  # to wait without a proof that webhooks come
    lane: float
    most: int = 3  # attempts that may have been taken, and count
    in_all: int = 10  # and with those that do not

    def goes_on(self, waited: float) -> bool:
        """True once those behind it are sent although it waits: only where its window is longer.

        Any other one keeps its place, also while a proof is missing.
        """
        return self.window > self.lane and waited >= self.lane


class Doubt(NamedTuple):
    """The facts about one message in doubt, as its owner has them. Times are the owner's seconds;
    inf: not yet.
    """

    attempts: int  # attempts that may have been taken and count, this one included
    since: float  # when the request ended, or was found issued
    proven_at: float = math.inf  # by then a status of it would have come in
    read_at: float = -math.inf  # when the last reading of the inbox began
    ends: float = math.inf  # its ttl
    in_all: int = 0  # attempts that may have been taken


class DoubtVerdict(StrEnum):
    """The next step for a message in doubt."""

    WAIT = "wait"
    RESEND = "resend"
    FAIL = "fail"
    HOLD = "hold"


def verdict(doubt: Doubt, rule: DoubtRule, fence: float, now: float) -> DoubtVerdict:
    """Decide the next step for a message in doubt.

    ``fence`` in seconds. FAIL means that its outcome stays unknown.
    """
    over = over_at(doubt, rule, fence)
    if now < over or doubt.read_at < over:
        return DoubtVerdict.WAIT
    if now >= doubt.ends or rule.policy is Policy.FAIL:
        return DoubtVerdict.FAIL
    few = doubt.attempts < rule.most and doubt.in_all < rule.in_all
    if rule.policy is Policy.RESEND and few:
        return DoubtVerdict.RESEND
    return DoubtVerdict.HOLD


def goes_again(others: int, rule: DoubtRule) -> bool:
    """True if a held message goes again, as its last request was surely not taken.

    ``others`` before it may have been.
    """
    return not others or (rule.policy is Policy.RESEND and others < rule.most)


def over_at(doubt: Doubt, rule: DoubtRule, fence: float) -> float:
    """Return when its wait is over: what came in until then is to be read before it is decided."""
    heard = min(doubt.proven_at, doubt.since + rule.blind)
    return min(doubt.ends, max(doubt.since + max(rule.window, fence), heard))

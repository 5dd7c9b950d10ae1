"""Decides about a message whose request the Cloud API may have taken. Pure.

Nobody can ask the Cloud API for a request, and two equal ones are two messages. So a request whose
end is not known is *in doubt*: it waits for evidence, and only when the time has passed in which it
could still be taken or be heard of does its policy decide.

    state    begins with                        ends with
    QUEUED   append; a certain "not taken";     its request begins; evidence of an earlier one
             "send again"
    OUT      its request begins                 the answer; evidence; nobody knows (DOUBT)
    DOUBT    the answer is unclear or lost,     evidence; "not taken" after all; the policy
             or a successor finds it issued
    HELD     the policy                         evidence; an operator; "not taken" after all, if
                                                nothing else may have been; the longest wait
    TAKEN    an answer 200, or evidence         -
    FAILED   refused for good; the policy       -

Rules of this file:
  * evidence ends every state, whichever attempt it is of;
  * a window is never shorter than the fence: the time after which no old owner can begin a request,
    finish one, or have one taken;
  * after the window, and with the way of webhooks proven (``flow.proof``) or for long enough
    unproven, what came in meanwhile is read once more; then the policy has its say;
  * an attempt that may have been taken counts; one that was surely not taken does not, nor does one
    more that found out whether messages are taken at all, while none was.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class DoubtState(StrEnum):
    QUEUED = "queued"
    OUT = "out"
    DOUBT = "doubt"
    HELD = "held"
    TAKEN = "taken"
    FAILED = "failed"


class DoubtEvent(StrEnum):
    BEGUN = "begun"  # its request
    NOT_TAKEN = "not taken"  # surely: it may go again
    REFUSED = "refused"  # for good
    UNCLEAR = "unclear"  # nobody knows
    EVIDENCE = "evidence"  # an answer 200, or a status with its reference
    RESEND = "resend"
    FAIL = "fail"
    HOLD = "hold"


NEXT: dict[tuple[DoubtState, DoubtEvent], DoubtState] = {
    (DoubtState.QUEUED, DoubtEvent.BEGUN): DoubtState.OUT,
    (DoubtState.QUEUED, DoubtEvent.FAIL): DoubtState.FAILED,  # its time is over
    (DoubtState.OUT, DoubtEvent.NOT_TAKEN): DoubtState.QUEUED,
    (DoubtState.OUT, DoubtEvent.REFUSED): DoubtState.FAILED,
    (DoubtState.OUT, DoubtEvent.UNCLEAR): DoubtState.DOUBT,
    (DoubtState.DOUBT, DoubtEvent.NOT_TAKEN): DoubtState.QUEUED,
    (DoubtState.DOUBT, DoubtEvent.REFUSED): DoubtState.FAILED,
    (DoubtState.DOUBT, DoubtEvent.RESEND): DoubtState.QUEUED,
    (DoubtState.DOUBT, DoubtEvent.FAIL): DoubtState.FAILED,
    (DoubtState.DOUBT, DoubtEvent.HOLD): DoubtState.HELD,
    (DoubtState.HELD, DoubtEvent.NOT_TAKEN): DoubtState.QUEUED,
    (DoubtState.HELD, DoubtEvent.REFUSED): DoubtState.FAILED,
    (DoubtState.HELD, DoubtEvent.RESEND): DoubtState.QUEUED,
    (DoubtState.HELD, DoubtEvent.FAIL): DoubtState.FAILED,
    **{
        (state, DoubtEvent.EVIDENCE): DoubtState.TAKEN
        for state in (DoubtState.QUEUED, DoubtState.OUT, DoubtState.DOUBT, DoubtState.HELD)
    },
}


def step(state: DoubtState, happened: DoubtEvent) -> DoubtState:
    """The next state; a pair that is not in the table changes nothing."""
    return NEXT.get((state, happened), state)


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
    """The facts about one message in doubt, as its owner has them."""

    attempts: int  # attempts that may have been taken and count, this one included
    waited: float  # seconds since the request ended, or was found issued
    taken: bool = False  # there is evidence of any attempt
    not_taken: bool = False  # the last request was surely not taken
    proven: bool = False  # the way of webhooks
    drained: bool = False  # the inbox was read after the window or the ttl ended
    ttl_over: bool = False
    in_all: int = 0  # attempts that may have been taken


class DoubtVerdict(StrEnum):
    """The next step for a message in doubt. DRAIN: read what has come in, and ask again."""

    WAIT = "wait"
    DRAIN = "drain"
    TAKEN = "taken"
    AGAIN = "again"
    RESEND = "resend"
    FAIL = "fail"
    HOLD = "hold"


def verdict(doubt: Doubt, rule: DoubtRule, fence: float) -> DoubtVerdict:
    """Decide the next step for a message in doubt.

    ``fence`` in seconds. FAIL means that its outcome stays unknown.
    """
    if doubt.taken:
        return DoubtVerdict.TAKEN
    if doubt.not_taken:
        return DoubtVerdict.AGAIN
    if not (doubt.ttl_over or _window_over(doubt, rule, fence)):
        return DoubtVerdict.WAIT
    if not doubt.drained:
        return DoubtVerdict.DRAIN
    if doubt.ttl_over or rule.policy is Policy.FAIL:
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


def _window_over(doubt: Doubt, rule: DoubtRule, fence: float) -> bool:
    if doubt.waited < max(rule.window, fence):
        return False
    return doubt.proven or doubt.waited >= rule.blind

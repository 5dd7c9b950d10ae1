"""Every interleaving of two owners, a database and Meta, over the machine of messages in doubt.

Of each case all states are visited that it has; no promise breaks in one, and where nothing can
happen any more each message has its end. Without one of the machine's rules a promise does break.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.flow.doubt.interleavings import explore
from tests.unit.flow.doubt.world import Budget, Rules
from warouter.flow.doubt import effects as do
from warouter.flow.doubt import events as on
from warouter.flow.doubt import found, machine
from warouter.flow.doubt.events import FailureReason
from warouter.flow.doubt.machine import TABLE, Step, Transition
from warouter.flow.doubt.states import DoubtState, Issue, RowState
from warouter.flow.doubt.verdict import Doubt, DoubtRule, DoubtVerdict, Policy, verdict

S = DoubtState
FIRST, BOTH = frozenset({0}), frozenset({0, 1})
FAIL_HOLD, HOLD_RESEND = (Policy.FAIL, Policy.HOLD), (Policy.HOLD, Policy.RESEND)

CASES = {
    "an owner dies, a request is taken late, and a webhook never comes": Rules(
        budget=Budget(crash=1, cut=1, never=1)
    ),
    "an owner freezes between its look at the clock and the write": Rules(budget=Budget(freeze=1)),
    "an answer is lost, one says no for now, and a webhook comes twice": Rules(
        budget=Budget(refuse=1, lose=1, again=1)
    ),
    "an owner dies, and an answer says no for now": Rules(budget=Budget(crash=1, refuse=1)),
    "an owner loses the slot, and an answer says no for good": Rules(
        budget=Budget(take=1, final=1)
    ),
    "messages fail or are held where nobody knows": Rules(FAIL_HOLD, budget=Budget(crash=1, cut=1)),
    "an operator has a held message sent, failed, or held": Rules(
        HOLD_RESEND, budget=Budget(crash=1, ask=1)
    ),
    "an owner loses the slot as a message grows too old": Rules(ttl=FIRST, budget=Budget(take=1)),
    "messages grow too old in doubt": Rules(ttl=BOTH, budget=Budget(crash=1, cut=1)),
    "those behind a long wait go on": Rules(long=True, budget=Budget(cut=1, refuse=1)),
    "what is aside or held was surely not taken": Rules(
        HOLD_RESEND, long=True, budget=Budget(take=1, refuse=1)
    ),
    "those behind a long wait go on, and rows leave memory": Rules(
        long=True, forgets=True, budget=Budget(crash=1)
    ),
    "those behind a taken message wait for its sent": Rules(
        until_sent=True, budget=Budget(crash=1, never=1, again=1)
    ),
    "an issued request is taken back": Rules(budget=Budget(crash=1, back=1)),
}


@pytest.mark.parametrize("rules", CASES.values(), ids=list(CASES))
def test_no_interleaving_breaks_a_promise(rules: Rules) -> None:
    outcome = explore(rules)
    assert outcome.broken == ()
    assert outcome.ends > 0


# The machine without one of its rules


def at_once(doubt: Doubt, rule: DoubtRule, _fence: float, now: float) -> DoubtVerdict:
    return verdict(doubt, rule, 0.0, now)


def unread(doubt: Doubt, rule: DoubtRule, fence: float, now: float) -> DoubtVerdict:
    return verdict(doubt._replace(read_at=now), rule, fence, now)


def opened_first(issue: Issue, failure: FailureReason, by: str) -> Step:
    opened = do.Settle(reopen=issue.state is S.DOUBT)
    return replace(issue, state=S.SAYING_ASIDE), (do.CountEnd(by), opened, do.SayFailed(failure))


def kept_in_memory(issue: Issue, now: float, by: str) -> Step:
    settled = do.Settle(reopen=issue.state is S.DOUBT)
    return replace(issue, state=S.HELD, since=now), (do.CountEnd(by), settled)


def goes_again(issue: Issue, _event: object, _now: float) -> Step:
    return replace(issue, state=S.QUEUED), (do.ReopenLane(),)


def ignored(issue: Issue, _event: object, _now: float) -> Step:
    return issue, ()


def without_its_lane(issue: Issue, event: on.EvidenceSeen, now: float) -> Step:
    after, (*others, _) = TABLE[S.HELD, on.EvidenceSeen].move(issue, event, now)
    return after, (*others, do.EndMessage(reopen=False))


def without_the_fence(issue: Issue, _event: object, now: float) -> Step:
    return TABLE[S.SAID, on.TimePassed].move(
        replace(issue, state=S.SAID), on.FailureStored(0.0), now
    )


def held_at_once(issue: Issue, _event: object, now: float) -> Step:
    return machine._hold(issue, now, "operator")


def into_any_lane(issue: Issue, event: on.TimePassed, now: float) -> Step:
    return TABLE[S.DOUBT, on.TimePassed].move(issue, replace(event, free=True), now)


Take = Callable[[pytest.MonkeyPatch], None]


def name(where: Any, which: str, instead: object) -> Take:
    return lambda patch: patch.setattr(where, which, instead)


def pair(state: DoubtState, event: type, move: Any) -> Take:
    return lambda patch: patch.setitem(TABLE, (state, event), Transition(move, frozenset(S)))


def row(state: RowState, as_: DoubtState) -> Take:
    return lambda patch: patch.setitem(found._STATES, state, as_)


MUTANTS: dict[str, tuple[Take, Rules]] = {
    "the policy does not wait for the fence": (
        name(machine, "verdict", at_once),
        Rules(budget=Budget(cut=1)),
    ),
    "the policy decides without reading the inbox": (
        name(machine, "verdict", unread),
        Rules(budget=Budget(cut=1)),
    ),
    "evidence does not end what waits to be sent again": (
        pair(S.QUEUED, on.EvidenceSeen, ignored),
        Rules(budget=Budget(cut=1)),
    ),
    "evidence opens no lane that a failure keeps shut": (
        pair(S.SAYING, on.EvidenceSeen, without_its_lane),
        Rules(ttl=FIRST, budget=Budget(cut=1)),
    ),
    "an unclear answer counts as a no": (
        pair(S.OUT, on.AnsweredUnclear, goes_again),
        Rules(budget=Budget(cut=1)),
    ),
    "a no sends again what is told as failed": (
        pair(S.SAYING, on.ToldNotTaken, goes_again),
        Rules(ttl=FIRST, budget=Budget(take=1, refuse=1)),
    ),
    "a lane opens before its failure is on disk": (
        name(machine, "_fail", opened_first),
        Rules(ttl=FIRST, budget=Budget(cut=1)),
    ),
    "a lane opens with the failure, before the fence": (
        pair(S.SAYING, on.FailureStored, without_the_fence),
        Rules(ttl=FIRST, budget=Budget(cut=1)),
    ),
    "an operator's hold does not wait for the fence": (
        pair(S.DOUBT, on.OperatorAsked, held_at_once),
        Rules(budget=Budget(cut=1, ask=1)),
    ),
    "a message returns to its lane whoever is there": (
        pair(S.ASIDE, on.TimePassed, into_any_lane),
        Rules(long=True, budget=Budget(cut=1)),
    ),
    "a held message is not held on disk": (
        name(machine, "_hold", kept_in_memory),
        Rules(budget=Budget(crash=1, cut=1, ask=1)),
    ),
    "the next owner does not doubt what it finds in doubt": (
        row(RowState.DOUBTED, S.QUEUED),
        Rules(budget=Budget(crash=1)),
    ),
    "the next owner looks for a message in the lane that it has left": (
        row(RowState.ASIDE, S.DOUBT),
        Rules(long=True, forgets=True, budget=Budget(cut=1)),
    ),
}


@pytest.mark.parametrize(("take", "rules"), MUTANTS.values(), ids=list(MUTANTS))
def test_without_a_rule_a_promise_breaks(
    monkeypatch: pytest.MonkeyPatch, take: Take, rules: Rules
) -> None:
    assert explore(rules).broken == ()
    take(monkeypatch)
    assert explore(rules).broken

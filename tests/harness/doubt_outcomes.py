"""Every outcome of the table of messages in doubt, by trying each pair with facts of all kinds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple, get_args

from warouter.flow.doubt import events as on
from warouter.flow.doubt.effects import Effect, NoteChange
from warouter.flow.doubt.events import DoubtEvent, FailureReason
from warouter.flow.doubt.machine import TABLE, step
from warouter.flow.doubt.states import DoubtState, Issue, Treatment
from warouter.flow.doubt.verdict import DoubtRule, Policy
from warouter.flow.progress import Change, Took

NOW, LONG_AGO, FAR = 1_000.0, 0.0, 1e9
ID = bytes(20)
WHY = FailureReason(470, "Failed", "gone")
TOOK = Took(0, ID.hex(), 1, "wamid.1")
EVENTS: tuple[type, ...] = get_args(DoubtEvent)
STATES = tuple(DoubtState)
YES_NO = (True, False)
RULES = tuple(
    DoubtRule(policy, window, blind=window * 10, lane=60.0)
    for policy in Policy
    for window in (60.0, 3_900.0)
)


class Outcome(NamedTuple):
    """The state after an event, and the effects in their order; of a note what is noted."""

    state: DoubtState
    effects: tuple[Effect | Change, ...]


@cache
def outcomes(state: DoubtState, event: type) -> frozenset[Outcome]:
    """Return whatever may become of a message in this state."""
    found: set[Outcome] = set()
    for issue, happened in itertools.product(messages(state), samples(event)):
        after, effects = step(issue, happened, NOW)
        done = [one.change if isinstance(one, NoteChange) else one for one in effects]
        found.add(Outcome(after.state, tuple(done)))
    return frozenset(found)


def pairs() -> Iterator[tuple[DoubtState, type]]:
    """Yield every state with every event, in the order of both."""
    return itertools.product(STATES, EVENTS)


def possible() -> Iterator[tuple[DoubtState, type]]:
    """Yield the pairs of the table."""
    return (pair for pair in pairs() if pair in TABLE)


def messages(state: DoubtState) -> Iterator[Issue]:
    """Yield messages in this state of which some or many requests may have been taken."""
    facts = itertools.product(range(4), (0, 1), (LONG_AGO, NOW, -math.inf), (math.inf, LONG_AGO))
    for doubts, more, since, ends in facts:
        attempts = doubts + more
        rows = max(attempts, 1)
        yield Issue(7, ID, "49151", state, rows, attempts, doubts, since=since, ends=ends)


def samples(event: type) -> list[DoubtEvent]:
    """Return events of this kind with all kinds of facts."""
    return _SAMPLES[event]


def _times() -> Iterator[on.TimePassed]:
    given = itertools.product(
        RULES, (30.0, FAR), (50.0, FAR), (5.0, FAR), (LONG_AGO, math.inf), YES_NO, YES_NO, YES_NO
    )
    for rule, fence, held, sent, proven_at, read, free, brake in given:
        read_at = NOW if read else -math.inf
        yield on.TimePassed(rule, fence, held, sent, proven_at, read_at, free, brake)


_SAMPLES: dict[type, list[DoubtEvent]] = {
    on.PlaceGiven: [on.PlaceGiven()],
    on.RowAsked: [on.RowAsked()],
    on.RowStored: [on.RowStored()],
    on.RowTakenBack: [on.RowTakenBack()],
    on.RequestBegun: [on.RequestBegun(probing) for probing in YES_NO],
    on.AnsweredTaken: [on.AnsweredTaken(TOOK)],
    on.AnsweredNotTaken: [on.AnsweredNotTaken(free) for free in YES_NO],
    on.AnsweredRefused: [on.AnsweredRefused(WHY)],
    on.AnsweredUnclear: [on.AnsweredUnclear("timeout", Treatment())],
    on.EvidenceSeen: [on.EvidenceSeen(TOOK._replace(attempt=n), "status") for n in (1, 2)],
    on.EvidenceStored: [on.EvidenceStored()],
    on.ToldNotTaken: [on.ToldNotTaken(rule, free) for rule in RULES for free in YES_NO],
    on.ToldRefused: [on.ToldRefused(WHY)],
    on.TimePassed: list(_times()),
    on.OperatorAsked: [
        on.OperatorAsked(word, free, fence)
        for word, free, fence in itertools.product(("resend", "fail", "hold"), YES_NO, (30.0, FAR))
    ],
    on.TtlOver: [on.TtlOver()],
    on.FailureStored: [on.FailureStored(fence) for fence in (30.0, FAR)],
    on.MessageSettled: [on.MessageSettled()],
}

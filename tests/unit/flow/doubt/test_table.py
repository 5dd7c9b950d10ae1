"""The table of messages in doubt has each pair that can happen, and says truly what may follow."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests.harness.doubt_outcomes import (
    EVENTS,
    NOW,
    STATES,
    messages,
    outcomes,
    pairs,
    possible,
    samples,
)
from tests.harness.doubt_table import PAGE, lines, markdown, page
from warouter.flow.doubt import events as on
from warouter.flow.doubt.machine import TABLE, ImpossibleEvent, step
from warouter.flow.doubt.states import APART, KEPT, REQUESTED, TIMED, UNKNOWN, DoubtState

S = DoubtState
OPEN = frozenset(S) - {S.ENDED}
SAYING = frozenset({S.SAYING, S.SAYING_ASIDE})
UNSENT = frozenset({S.QUEUED, S.PLACED, S.ISSUED})
IN_LANE = UNSENT | REQUESTED | {S.ISSUING, S.TAKEN, S.REFUSED, S.EXPIRED}


class Never(NamedTuple):
    """Events that cannot happen in these states, and why."""

    why: str
    events: Sequence[type]
    states: frozenset[DoubtState]


IMPOSSIBLE = (
    Never("nothing happens to a message that has ended", EVENTS, frozenset({S.ENDED})),
    Never("only what waits in its lane gets a place", [on.PlaceGiven], OPEN - {S.QUEUED}),
    Never(
        "a row is asked for once, and with a place or with the message's own commit",
        [on.RowAsked],
        OPEN - {S.QUEUED, S.PLACED},
    ),
    Never("a row that nobody asked for is not written", [on.RowStored], OPEN - {S.ISSUING}),
    Never(
        "a request begins, or is taken back, once after its row is on disk",
        [on.RequestBegun, on.RowTakenBack],
        OPEN - {S.ISSUED},
    ),
    Never(
        "a request has one answer, while it is out; later ones are evidence or hearsay",
        [on.AnsweredTaken, on.AnsweredNotTaken, on.AnsweredRefused, on.AnsweredUnclear],
        OPEN - REQUESTED,
    ),
    Never("time changes no state but those that wait for it", [on.TimePassed], OPEN - TIMED),
    Never(
        "a lane expires what waits in it, and not what is out or has left it",
        [on.TtlOver],
        OPEN - UNSENT,
    ),
    Never("no other failure is being written", [on.FailureStored], OPEN - SAYING),
    Never(
        "a lane settles what was read into it, and what shuts it is parked",
        [on.MessageSettled],
        OPEN - IN_LANE - APART,
    ),
)
NEVER = [
    (state, event)
    for each in IMPOSSIBLE
    for state, event in pairs()
    if state in each.states and event in each.events
]
TOLD = (on.EvidenceSeen, on.EvidenceStored, on.ToldNotTaken, on.ToldRefused, on.OperatorAsked)


def test_a_pair_is_in_the_table_or_is_said_to_be_impossible_for_one_reason() -> None:
    counted = Counter([*NEVER, *possible()])
    assert {pair for pair, times in counted.items() if times > 1} == set()
    assert set(pairs()) == set(counted)


@pytest.mark.parametrize(("state", "event"), NEVER)
def test_an_impossible_event_raises(state: DoubtState, event: type) -> None:
    for issue, happened in itertools.product(messages(state), samples(event)[:1]):
        with pytest.raises(ImpossibleEvent):
            step(issue, happened, NOW)


@pytest.mark.parametrize(("state", "event"), list(possible()))
def test_the_table_names_the_states_that_follow_and_no_others(
    state: DoubtState, event: type
) -> None:
    """A pair that names none changes nothing at all."""
    found = outcomes(state, event)
    if TABLE[state, event].to:
        assert {outcome.state for outcome in found} == TABLE[state, event].to
    else:
        assert found == {(state, ())}


def test_any_word_can_come_in_any_state() -> None:
    """Webhooks, former owners and operators do not wait for the right moment."""
    assert set(itertools.product(OPEN, TOLD)) <= TABLE.keys()


def test_every_state_is_reached_from_a_new_message() -> None:
    reached, new = {S.QUEUED}, {S.QUEUED}
    while new:
        after = {to for state, event in possible() if state in new for to in TABLE[state, event].to}
        new = after - reached
        reached |= new
    assert set(STATES) - reached == {S.GONE}  # what an owner finds whose message is not stored


def test_every_state_leads_to_an_end() -> None:
    ends = {S.ENDED}
    while more := {s for s, event in possible() if s not in ends and TABLE[s, event].to & ends}:
        ends |= more
    assert ends == set(S)


def test_time_and_a_reading_end_what_waits_without_a_word() -> None:
    """Nothing that an operator or Meta could say is needed: only the disk, lanes, and time."""
    alone = {on.TimePassed, on.FailureStored, *(event for event in EVENTS if event not in TOLD)}
    ends = {S.ENDED}
    while more := {
        state
        for state, event in possible()
        if event in alone and state not in ends and TABLE[state, event].to & ends
    }:
        ends |= more
    assert ends >= UNKNOWN | KEPT | SAYING | {S.SAID, S.TAKEN}


def test_the_page_shows_every_state_with_whatever_may_follow() -> None:
    shown = {(state, after) for state in STATES for _, after, _ in lines(state)}
    follow = {(state, to) for state, event in possible() for to in TABLE[state, event].to}
    assert shown <= follow
    assert {state for state, _ in shown} == OPEN
    assert all(f"**{state}**" in markdown() for state in STATES)


def test_the_page_is_printed_from_the_table() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "run `make docs`"

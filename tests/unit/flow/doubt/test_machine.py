"""The table of messages in doubt: what each event means in each state."""

from __future__ import annotations

import math
from typing import Any

import pytest

from warouter.flow.doubt import events as on
from warouter.flow.doubt.effects import (
    CountEnd,
    EndMessage,
    MayBeHeard,
    NoteChange,
    Refuse,
    SayFailed,
)
from warouter.flow.doubt.events import FailureReason
from warouter.flow.doubt.machine import EARLIER, TABLE, step
from warouter.flow.doubt.states import DoubtState, Issue
from warouter.flow.progress import Took

ID = bytes(20)
TOOK = Took(0, ID.hex(), 1, "wamid.1")
REFUSAL = FailureReason(470, "Failed", "gone")
OPEN = [state for state in DoubtState if state is not DoubtState.ENDED]


def message(state: DoubtState, **more: Any) -> Issue:
    """A message whose only request began."""
    usual: dict[str, Any] = {"rows": 1, "attempt": 1, "doubts": 1, "since": 0.0}
    return Issue(7, ID, "49151", state, **usual | more)


@pytest.mark.parametrize("state", OPEN)
def test_evidence_ends_every_state_and_is_noted_with_the_place_of_the_message(
    state: DoubtState,
) -> None:
    after, effects = step(message(state), on.EvidenceSeen(TOOK, "status"), 1.0)
    assert after.state is DoubtState.ENDED
    assert effects[0] == NoteChange(TOOK._replace(seq=7))
    assert isinstance(effects[-1], EndMessage)


def test_nothing_happens_to_a_message_that_has_ended() -> None:
    assert not {event for state, event in TABLE if state is DoubtState.ENDED}


def test_a_request_that_is_out_waits_for_its_answer_or_for_evidence_alone() -> None:
    """Its ttl does not end it, nor does a policy or a person."""
    for state in (DoubtState.OUT, DoubtState.PROBING):
        moves = {event for (of, event), next_ in TABLE.items() if of is state and next_.to}
        assert moves == {
            on.AnsweredTaken,
            on.AnsweredNotTaken,
            on.AnsweredRefused,
            on.AnsweredUnclear,
            on.EvidenceSeen,
            on.EvidenceStored,
            on.MessageSettled,
        }


@pytest.mark.parametrize(
    ("state", "attempts", "of", "heard"),
    [
        (DoubtState.DOUBT, 2, 1, True),
        (DoubtState.ASIDE, 2, 1, True),
        (DoubtState.DOUBT, 2, 2, False),  # the evidence is of the last one
        (DoubtState.QUEUED, 2, 1, False),  # the last one was surely not taken
        (DoubtState.OUT, 2, 1, False),  # its answer says what became of it
    ],
)
def test_an_attempt_beside_the_one_that_was_taken_may_be_heard_of(
    state: DoubtState, attempts: int, of: int, *, heard: bool
) -> None:
    issue = message(state, rows=attempts, attempt=attempts, doubts=attempts)
    _, effects = step(issue, on.EvidenceSeen(TOOK._replace(attempt=of), "status"), 1.0)
    assert (MayBeHeard(attempts) in effects) is heard


@pytest.mark.parametrize(("doubts", "said"), [(1, "gone"), (2, EARLIER + "gone")])
@pytest.mark.parametrize("state", [DoubtState.DOUBT, DoubtState.HELD])
def test_a_refusal_says_so_where_an_earlier_request_may_have_been_taken(
    state: DoubtState, doubts: int, said: str
) -> None:
    issue = message(state, rows=doubts, attempt=doubts, doubts=doubts)
    after, effects = step(issue, on.ToldRefused(REFUSAL), 1.0)
    assert effects == (CountEnd("answer"), SayFailed(REFUSAL._replace(details=said)))
    assert (after.since == -math.inf) is (doubts == 1)  # nothing of it can be taken any more


@pytest.mark.parametrize(("doubts", "said"), [(0, "gone"), (1, EARLIER + "gone")])
def test_the_refusal_of_a_request_that_is_out_says_so_too(doubts: int, said: str) -> None:
    after, effects = step(message(DoubtState.OUT, doubts=doubts), on.AnsweredRefused(REFUSAL), 1.0)
    assert after.state is DoubtState.REFUSED
    assert effects == (Refuse(REFUSAL._replace(details=said)),)


@pytest.mark.parametrize(
    ("state", "doubts", "spared", "counted"),
    [
        (DoubtState.OUT, 0, 0, 1),
        (DoubtState.OUT, 1, 0, 2),
        (DoubtState.PROBING, 0, 0, 1),  # the first one always counts
        (DoubtState.PROBING, 1, 0, 1),
        (DoubtState.PROBING, 2, 1, 1),
    ],
)
def test_a_request_that_finds_out_whether_any_is_taken_uses_up_no_attempt_but_the_first(
    state: DoubtState, doubts: int, spared: int, counted: int
) -> None:
    issue = message(state, doubts=doubts, spared=spared)
    unclear = on.AnsweredUnclear("timeout", issue.treatment)
    assert step(issue, unclear, 1.0)[0].counted == counted

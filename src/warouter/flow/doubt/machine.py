"""The table: what becomes of a message in each state when something happens to it, and what is to
be done then.

``step`` is the only place where the state of a message changes. A pair that cannot happen is not in
the table, and raises. docs/cloud.md has the table as it is printed from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from msgspec.structs import replace

from warouter.flow.doubt import effects as do
from warouter.flow.doubt import events as on
from warouter.flow.doubt.events import DoubtEvent, FailureReason
from warouter.flow.doubt.states import APART, SHUT, UNKNOWN, DoubtState, Issue, RowState
from warouter.flow.doubt.verdict import Doubt, DoubtVerdict, goes_again, verdict
from warouter.flow.progress import Park, Stated, Unissued

NO_OUTCOME = FailureReason(500, "Generic error", "outcome unknown, not sent again")
EXPIRED = FailureReason(
    410, "Message expired", "outcome unknown: the ttl passed before an answer came"
)
EARLIER = "outcome unknown: an earlier request of it may have been taken; the last one: "

S = DoubtState
Step: TypeAlias = tuple[Issue, tuple[do.Effect, ...]]
Move: TypeAlias = Callable[[Issue, Any, float], Step]
IN_LANE = (S.QUEUED, S.PLACED, S.ISSUING, S.ISSUED)
SENDING = (*IN_LANE, S.OUT, S.PROBING)
OPEN = tuple(state for state in S if state is not S.ENDED)


class ImpossibleEvent(Exception):
    """Something happened to a message that cannot happen in its state."""


class Transition(NamedTuple):
    """How a pair of the table goes on, and the states that may follow; none: nothing happens."""

    move: Move
    to: frozenset[DoubtState]


TABLE: dict[tuple[DoubtState, type], Transition] = {}


def step(issue: Issue, event: DoubtEvent, now: float) -> Step:
    """Return the message in its next state, and the effects in the order to carry them out.

    Raises ImpossibleEvent for a pair that is not in the table.
    """
    transition = TABLE.get((issue.state, type(event)))
    if transition is None:
        raise ImpossibleEvent(f"{type(event).__name__} of a message that is {issue.state}")
    return transition.move(issue, event, now)


def _pairs(
    event: type, states: Iterable[DoubtState], to: Iterable[DoubtState]
) -> Callable[[Move], Move]:
    def add(move: Move) -> Move:
        for state in states:
            assert (state, event) not in TABLE, (state, event)
            TABLE[state, event] = Transition(move, frozenset(to))
        return move

    return add


def stated(issue: Issue, state: RowState, attempt: int | None = None) -> do.NoteChange:
    """Write into its row what became of a request: of the last one, if it is not said."""
    of = issue.attempt if attempt is None else attempt
    cause = issue.cause or None
    return do.NoteChange(Stated(issue.seq, of, state, issue.doubts, cause, spared=issue.spared))


def _stays(issue: Issue, _event: object, _now: float) -> Step:
    return issue, ()


# towards its request


@_pairs(on.PlaceGiven, [S.QUEUED], [S.PLACED])
def _place(issue: Issue, _event: on.PlaceGiven, _now: float) -> Step:
    return replace(issue, state=S.PLACED), ()


@_pairs(on.RowAsked, [S.QUEUED, S.PLACED], [S.ISSUING])
def _ask_row(issue: Issue, _event: on.RowAsked, _now: float) -> Step:
    return replace(issue, state=S.ISSUING, rows=issue.rows + 1), ()


@_pairs(on.RowStored, [S.ISSUING], [S.ISSUED])
def _row_stored(issue: Issue, _event: on.RowStored, _now: float) -> Step:
    return replace(issue, state=S.ISSUED), ()


@_pairs(on.RowTakenBack, [S.ISSUED], [S.QUEUED])
def _take_back(issue: Issue, _event: on.RowTakenBack, _now: float) -> Step:
    return replace(issue, state=S.QUEUED), (_freed(issue, issue.next_attempt),)


def _freed(issue: Issue, attempt: int) -> do.NoteChange:
    """The attempt was not made: its row goes, or says that the last one was not taken."""
    if attempt == 1:
        return do.NoteChange(Unissued(issue.seq, 1))
    return stated(issue, RowState.NOT_TAKEN, attempt)


@_pairs(on.RequestBegun, [S.ISSUED], [S.OUT, S.PROBING])
def _begin(issue: Issue, event: on.RequestBegun, _now: float) -> Step:
    state = S.PROBING if event.probing else S.OUT
    return replace(issue, state=state, attempt=issue.attempt + 1), ()


# its answer


@_pairs(on.AnsweredTaken, [S.OUT, S.PROBING], [S.TAKEN])
def _taken(issue: Issue, event: on.AnsweredTaken, now: float) -> Step:
    # Without its seq: the row stays until the message is settled.
    return replace(issue, state=S.TAKEN, since=now), (do.NoteChange(event.took),)


@_pairs(on.AnsweredNotTaken, [S.OUT, S.PROBING], [S.QUEUED])
def _not_taken(issue: Issue, event: on.AnsweredNotTaken, _now: float) -> Step:
    after = replace(
        issue,
        state=S.QUEUED,
        attempt=issue.attempt - event.free,
        uploads=issue.uploads + event.upload,
    )
    freed = _freed(issue, issue.attempt)
    return after, (freed if event.free else stated(issue, RowState.NOT_TAKEN), do.Retry())


@_pairs(on.AnsweredRefused, [S.OUT, S.PROBING], [S.REFUSED])
def _refused(issue: Issue, event: on.AnsweredRefused, _now: float) -> Step:
    return replace(issue, state=S.REFUSED), (do.Refuse(_hedged(issue, event.failure)),)


def _hedged(issue: Issue, failure: FailureReason) -> FailureReason:
    """A refusal as it is told: of the last request, where an earlier one may have been taken."""
    return failure._replace(details=EARLIER + failure.details) if issue.doubts else failure


@_pairs(on.AnsweredUnclear, [S.OUT, S.PROBING], [S.DOUBT])
def _unclear(issue: Issue, event: on.AnsweredUnclear, now: float) -> Step:
    spared = issue.state is S.PROBING and issue.doubts > 0
    after = replace(
        issue,
        state=S.DOUBT,
        since=now,
        doubts=issue.doubts + 1,
        spared=issue.spared + spared,
        cause=event.cause,
        treatment=event.treatment,
        ends=event.ends,
    )
    return after, (stated(after, RowState.DOUBTED), do.ShutLane())


# evidence


@_pairs(on.EvidenceSeen, OPEN, [S.ENDED])
def _evidence(issue: Issue, event: on.EvidenceSeen, _now: float) -> Step:
    later = issue.state in UNKNOWN | {S.SAYING, S.SAYING_ASIDE, S.SAID}
    unheard = later and issue.attempt > event.took.attempt
    return replace(issue, state=S.ENDED), (
        do.NoteChange(event.took._replace(seq=issue.seq)),
        *_counted(issue, event.by),
        *((do.MayBeHeard(issue.attempt),) if unheard else ()),
        do.EndMessage(reopen=issue.state in SHUT),
    )


def _counted(issue: Issue, by: str) -> tuple[do.CountEnd, ...]:
    """Of those in doubt; that others are taken is no end of a doubt."""
    return () if issue.state in (*SENDING, S.TAKEN, S.REFUSED, S.EXPIRED) else (do.CountEnd(by),)


@_pairs(on.EvidenceStored, OPEN, [S.ENDED])
def _proven(issue: Issue, _event: on.EvidenceStored, _now: float) -> Step:
    counted = () if issue.state is S.TAKEN else (do.CountEnd("status"),)
    over = do.NoteChange(Unissued(issue.seq))
    return replace(issue, state=S.ENDED), (over, *counted, do.EndMessage(issue.state in SHUT))


# what a former epoch has heard of the last request

_pairs(on.ToldNotTaken, [*SENDING, S.TAKEN, S.REFUSED, S.EXPIRED], [])(_stays)
_pairs(on.ToldNotTaken, [S.RETURNING, S.SAYING, S.SAYING_ASIDE, S.SAID], [])(_stays)
_pairs(on.ToldRefused, [*SENDING, S.TAKEN, S.REFUSED, S.EXPIRED], [])(_stays)
_pairs(on.ToldRefused, [S.SAYING, S.SAYING_ASIDE, S.SAID], [])(_stays)


@_pairs(on.ToldNotTaken, [S.DOUBT], [S.QUEUED])
def _told_not_taken(issue: Issue, _event: on.ToldNotTaken, _now: float) -> Step:
    after = replace(issue, state=S.QUEUED, doubts=issue.doubts - 1)
    return after, (stated(after, RowState.NOT_TAKEN), do.CountEnd("answer"), do.ReopenLane())


@_pairs(on.ToldNotTaken, [S.ASIDE], [S.RETURNING])
def _to_return(issue: Issue, _event: on.ToldNotTaken, _now: float) -> Step:
    after = replace(issue, state=S.RETURNING)
    return after, (stated(after, RowState.RETURNING),)


@_pairs(on.ToldNotTaken, [S.HELD], [S.HELD, S.QUEUED])
@_pairs(on.ToldNotTaken, [S.GONE], [S.GONE])
def _held_not_taken(issue: Issue, event: on.ToldNotTaken, _now: float) -> Step:
    after = replace(issue, doubts=issue.doubts - 1)
    if issue.state is S.HELD and goes_again(after.doubts, event.rule):
        return _return(after, "answer") if event.free else (issue, (do.NotNow(),))
    return after, (stated(after, RowState.KEPT),)


@_pairs(on.ToldRefused, [S.DOUBT], [S.SAYING])
@_pairs(on.ToldRefused, [S.ASIDE, S.RETURNING, S.HELD, S.GONE], [S.SAYING_ASIDE])
def _told_refused(issue: Issue, event: on.ToldRefused, _now: float) -> Step:
    left = issue.doubts - 1
    # Without another request nothing of it can be taken any more.
    after = replace(issue, doubts=left, since=issue.since if left else -math.inf)
    return _fail(after, _hedged(after, event.failure), "answer")


# time


@_pairs(on.TimePassed, [S.TAKEN], [S.TAKEN, S.ENDED])
def _sent_awaited(issue: Issue, event: on.TimePassed, now: float) -> Step:
    if now - issue.since < event.sent:
        return issue, ()
    return _proven(issue, on.EvidenceStored(), now)


@_pairs(on.TimePassed, [S.DOUBT], [S.DOUBT, S.ASIDE, S.QUEUED, S.HELD, S.SAYING])
@_pairs(on.TimePassed, [S.ASIDE], [S.ASIDE, S.QUEUED, S.HELD, S.SAYING_ASIDE])
def _decide(issue: Issue, event: on.TimePassed, now: float) -> Step:
    doubt = Doubt(
        issue.counted, issue.since, event.proven_at, event.read_at, issue.ends, issue.doubts
    )
    blind = () if event.proven_at < math.inf else (do.EndedBlind(),)
    match verdict(doubt, event.rule, event.fence, now):
        case DoubtVerdict.WAIT:
            if issue.state is S.DOUBT and event.rule.goes_on(now - issue.since):
                after = replace(issue, state=S.ASIDE)
                return after, (stated(after, RowState.ASIDE), do.Settle(reopen=True))
            return issue, ()
        case DoubtVerdict.RESEND:
            if event.brake or (issue.state is S.ASIDE and not event.free):
                return issue, ()
            after, effects = _resend(issue)
            return after, (*effects, do.Resent(), *blind)
        case DoubtVerdict.FAIL:
            late = now >= issue.ends
            after, effects = _fail(issue, EXPIRED if late else NO_OUTCOME, "fail")
            return after, (*(() if late else blind), *effects)
        case DoubtVerdict.HOLD:
            after, effects = _hold(issue, now, "hold")
            return after, (*blind, *effects)


@_pairs(on.TimePassed, [S.RETURNING], [S.RETURNING, S.QUEUED])
def _return_when_free(issue: Issue, event: on.TimePassed, _now: float) -> Step:
    if not event.free:
        return issue, ()
    return _return(replace(issue, doubts=issue.doubts - 1), "answer")


@_pairs(on.TimePassed, [S.HELD], [S.HELD, S.SAYING_ASIDE])
@_pairs(on.TimePassed, [S.GONE], [S.GONE, S.SAYING_ASIDE])
def _held_too_long(issue: Issue, event: on.TimePassed, now: float) -> Step:
    over = issue.since + event.held
    if now < over or event.read_at < over:
        return issue, ()
    return _fail(issue, NO_OUTCOME, "fail")


@_pairs(on.TimePassed, [S.SAID], [S.SAID, S.ENDED])
def _fence_past(issue: Issue, event: on.TimePassed, now: float) -> Step:
    if now - issue.since < event.fence:
        return issue, ()
    return replace(issue, state=S.ENDED), (
        do.NoteChange(Unissued(issue.seq)),
        do.Settle(reopen=True),
    )


_pairs(on.TtlOver, [S.QUEUED, S.PLACED, S.ISSUED], [S.EXPIRED])(
    lambda issue, _event, _now: (replace(issue, state=S.EXPIRED), ())
)


def _resend(issue: Issue) -> Step:
    """By the policy, from wherever its place in its lane is."""
    if issue.state is S.ASIDE:
        return _return(issue, "resend")
    after = replace(issue, state=S.QUEUED)
    return after, (stated(after, RowState.AGAIN), do.CountEnd("resend"), do.ReopenLane())


def _return(issue: Issue, by: str) -> Step:
    """Into its lane, which it has left: a later owner finds it there."""
    again = do.NoteChange(Park(issue.seq, 0, 0, "sent again"))
    noted = stated(issue, RowState.NOT_TAKEN if by == "answer" else RowState.AGAIN)
    after = replace(issue, state=S.QUEUED)
    return after, (do.ReturnToLane(), again, noted, do.CountEnd(by), do.ReopenLane())


def _hold(issue: Issue, now: float, by: str) -> Step:
    after = replace(issue, state=S.HELD, since=now)
    settled = do.Settle(reopen=issue.state is S.DOUBT)
    return after, (do.CountEnd(by), stated(after, RowState.KEPT), settled)


def _fail(issue: Issue, failure: FailureReason, by: str) -> Step:
    state = S.SAYING if issue.state is S.DOUBT else S.SAYING_ASIDE
    return replace(issue, state=state), (do.CountEnd(by), do.SayFailed(failure))


# people


@_pairs(on.OperatorAsked, [S.HELD], [S.HELD, S.QUEUED, S.SAYING_ASIDE])
@_pairs(on.OperatorAsked, [S.GONE], [S.GONE, S.SAYING_ASIDE])
def _asked(issue: Issue, event: on.OperatorAsked, _now: float) -> Step:
    if event.word == "fail":
        return _fail(issue, NO_OUTCOME, "operator")
    if event.word != "resend" or issue.state is S.GONE:
        return issue, ()
    return _return(issue, "operator") if event.free else (issue, (do.NotNow(),))


@_pairs(on.OperatorAsked, [S.DOUBT], [S.DOUBT, S.HELD])
@_pairs(on.OperatorAsked, [S.ASIDE], [S.ASIDE, S.HELD])
def _asked_in_doubt(issue: Issue, event: on.OperatorAsked, now: float) -> Step:
    if event.word != "hold":
        return issue, ()
    if now - issue.since < event.fence:  # what is behind would pass its request
        return issue, (do.NotNow(),)
    return _hold(issue, now, "operator")


_pairs(on.OperatorAsked, [*SENDING, S.TAKEN, S.REFUSED, S.EXPIRED], [])(_stays)
_pairs(on.OperatorAsked, [S.RETURNING, S.SAYING, S.SAYING_ASIDE, S.SAID], [])(_stays)


# the disk


@_pairs(on.FailureStored, [S.SAYING], [S.SAID, S.ENDED])
def _said(issue: Issue, event: on.FailureStored, now: float) -> Step:
    said = replace(issue, state=S.SAID)
    passed = now - issue.since >= event.fence
    return _fence_past(said, event, now) if passed else (said, (stated(said, RowState.SAID),))


@_pairs(on.FailureStored, [S.SAYING_ASIDE], [S.ENDED])
def _said_aside(issue: Issue, _event: on.FailureStored, _now: float) -> Step:
    return replace(issue, state=S.ENDED), (do.NoteChange(Unissued(issue.seq)),)


# Its row was read into its lane, which it has left.
_pairs(on.MessageSettled, APART, [])(_stays)


@_pairs(on.MessageSettled, [*SENDING, S.TAKEN, S.REFUSED, S.EXPIRED], [S.ENDED])
def _settled(issue: Issue, _event: on.MessageSettled, _now: float) -> Step:
    note = (do.NoteChange(Unissued(issue.seq)),) if issue.rows else ()
    return replace(issue, state=S.ENDED), note

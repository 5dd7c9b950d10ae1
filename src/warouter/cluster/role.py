"""The state machine of a slot at its owner, under one epoch, as a table.

Rules of this file:
  * an epoch is opened once; when it is closed, for whatever reason, it never opens again: a new one
    is asked for (``renew``) or comes from the leader;
  * only ACTIVE takes new messages and sends; DRAINING commits and finishes what is out; CLOSED does
    nothing, and what still comes back for it is ignored.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    OPENING = "opening"
    ACTIVE = "active"
    DRAINING = "draining"
    CLOSED = "closed"


class Happened(StrEnum):
    OPENED = "opened"  # the first write of the epoch is committed, the journal is read
    SUCCESSOR = "successor"  # a successor was named
    HANDED_OVER = "handed over"
    LAPSED = "lapsed"  # the deadline passed
    FENCED = "fenced"  # a write was refused, or the map shows another owner
    DOUBTED = "doubted"  # the outcome of a write is not known


NEXT: dict[tuple[State, Happened], State] = {
    (State.OPENING, Happened.OPENED): State.ACTIVE,
    (State.OPENING, Happened.SUCCESSOR): State.DRAINING,
    (State.ACTIVE, Happened.SUCCESSOR): State.DRAINING,
    (State.DRAINING, Happened.HANDED_OVER): State.CLOSED,
    **{
        (state, happened): State.CLOSED
        for state in (State.OPENING, State.ACTIVE, State.DRAINING)
        for happened in (Happened.LAPSED, Happened.FENCED, Happened.DOUBTED)
    },
}


def step(state: State, happened: Happened) -> State:
    """The next state; a pair that is not in the table changes nothing."""
    return NEXT.get((state, happened), state)

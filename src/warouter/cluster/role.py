"""The state machine of a slot at its owner, under one epoch, as a table.

Rules of this file:
  * an epoch is opened once; when it is closed, for whatever reason, it never opens again: a new one
    is asked for (``renew``) or comes from the leader;
  * only ACTIVE takes new messages and sends; DRAINING commits and finishes what is out; CLOSED does
    nothing, and what still comes back for it is ignored.
"""

from __future__ import annotations

from enum import StrEnum


class SlotState(StrEnum):
    OPENING = "opening"
    ACTIVE = "active"
    DRAINING = "draining"
    CLOSED = "closed"


class SlotEvent(StrEnum):
    OPENED = "opened"  # the first write of the epoch is committed, the journal is read
    SUCCESSOR = "successor"  # a successor was named
    HANDED_OVER = "handed over"
    LAPSED = "lapsed"  # the deadline passed
    FENCED = "fenced"  # a write was refused, or the map shows another owner
    DOUBTED = "doubted"  # the outcome of a write is not known


NEXT: dict[tuple[SlotState, SlotEvent], SlotState] = {
    (SlotState.OPENING, SlotEvent.OPENED): SlotState.ACTIVE,
    (SlotState.OPENING, SlotEvent.SUCCESSOR): SlotState.DRAINING,
    (SlotState.ACTIVE, SlotEvent.SUCCESSOR): SlotState.DRAINING,
    (SlotState.DRAINING, SlotEvent.HANDED_OVER): SlotState.CLOSED,
    **{
        (state, happened): SlotState.CLOSED
        for state in (SlotState.OPENING, SlotState.ACTIVE, SlotState.DRAINING)
        for happened in (SlotEvent.LAPSED, SlotEvent.FENCED, SlotEvent.DOUBTED)
    },
}


def step(state: SlotState, happened: SlotEvent) -> SlotState:
    """The next state; a pair that is not in the table changes nothing."""
    return NEXT.get((state, happened), state)

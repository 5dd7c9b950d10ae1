"""The state of a message by its row, which this owner or one before it has written."""

from __future__ import annotations

import math
from typing import NamedTuple

from warouter.flow.causes import GONE
from warouter.flow.doubt.effects import Settle
from warouter.flow.doubt.machine import Step, stated
from warouter.flow.doubt.states import DoubtState, Issue, RowState, Treatment

_STATES = {
    RowState.DOUBTED: DoubtState.DOUBT,
    RowState.KEPT: DoubtState.HELD,
    RowState.NOT_TAKEN: DoubtState.QUEUED,
    RowState.AGAIN: DoubtState.QUEUED,
    RowState.ASIDE: DoubtState.ASIDE,
    RowState.SAID: DoubtState.SAID,
    RowState.RETURNING: DoubtState.RETURNING,
}


class FoundRow(NamedTuple):
    """The row of a message; ages in seconds.

    ``age``: since its state began. ``ends_in``: until its ttl is over. ``stored``: its message is.
    ``fresh``: it is in doubt since its slot was opened, and nobody has looked at it.
    """

    seq: int
    id: bytes
    recipient: str
    attempt: int
    doubts: int
    state: RowState
    age: float
    cause: str = ""
    ends_in: float = math.inf
    spared: int = 0
    stored: bool = True
    fresh: bool = False
    number: int = 1


def found(row: FoundRow, treatment: Treatment, now: float) -> Step:
    """Return the message of this row in its state, and the effects, as ``step`` does.

    Raises KeyError for a row that is issued: its owner has it in memory, and the next one doubts it
    first.
    """
    issue = Issue(
        row.seq,
        row.id,
        row.recipient,
        _STATES[row.state] if row.stored else DoubtState.GONE,
        1,
        row.attempt,
        row.doubts,
        row.spared,
        since=now - row.age,
        ends=now + row.ends_in,
        cause=row.cause if row.stored else GONE,
        treatment=treatment,
        number=row.number,
    )
    if row.stored:
        return issue, (stated(issue, row.state),) if row.fresh else ()
    if row.state is RowState.KEPT:
        return issue, ()
    return issue, (stated(issue, RowState.KEPT), Settle(row.state is RowState.DOUBTED))

"""The state of a message that an owner before this one left behind."""

from __future__ import annotations

import math
from typing import NamedTuple

from msgspec.structs import replace

from warouter.flow.causes import GONE
from warouter.flow.doubt.effects import CountEnd, Note, Settle, ShutLane
from warouter.flow.doubt.machine import Step
from warouter.flow.doubt.states import DoubtState, Issue, RowState, Treatment
from warouter.flow.doubt.verdict import DoubtRule
from warouter.flow.progress import Stated, Unissued

S = DoubtState


class FoundRow(NamedTuple):
    """The row of a message; ages in seconds.

    ``age``: since it was issued or in doubt. ``ends_in``: until its ttl is over. ``stored``: its
    message is. ``taken``: an attempt was. ``failed``: its business was told. ``apart``: its place
    in its lane was given away.
    """

    seq: int
    id: bytes
    recipient: str
    attempt: int
    doubts: int
    state: RowState
    age: float
    cause: str
    ends_in: float = math.inf
    stored: bool = True
    taken: bool = False
    failed: bool = False
    apart: bool = False


def found(row: FoundRow, treatment: Treatment, rule: DoubtRule, fence: float, now: float) -> Step:
    """Return the message of this row in its state, and the effects: as ``step`` does.

    Its last request began ``fence`` seconds before the doubt at the earliest.
    """
    issue = Issue(row.seq, row.id, row.recipient, S.QUEUED, 1, row.attempt, row.doubts)
    if row.taken or (row.failed and row.state is not RowState.DOUBTED):
        over = Settle(reopen=True), Note(Unissued(row.seq))
        by = CountEnd("status" if row.taken else "fail")
        return replace(issue, state=S.ENDED), (*over, by)
    if row.state is RowState.NOT_TAKEN and row.stored:
        return issue, ()  # the message comes through its lane, and goes under the next attempt
    since = now - row.age
    issue = Issue(
        row.seq,
        row.id,
        row.recipient,
        S.DOUBT,
        1,
        row.attempt,
        row.doubts,
        begun=since - fence,
        since=since,
        ends=now + row.ends_in,
        cause=row.cause if row.stored else GONE,
        treatment=treatment,
    )
    if not row.stored:
        kept = Note(Stated(row.seq, row.attempt, RowState.KEPT, row.doubts, GONE))
        return replace(issue, state=S.GONE), (kept, Settle(reopen=False))
    if row.state is RowState.KEPT:
        return replace(issue, state=S.HELD), (Settle(reopen=False),)
    apart = row.apart or rule.goes_on(row.age)
    if row.failed and not apart:
        return replace(issue, state=S.SAID), (ShutLane(),)
    if row.failed:
        return replace(issue, state=S.ENDED), (Note(Unissued(row.seq)), Settle(reopen=False))
    if apart:
        return replace(issue, state=S.ASIDE), (Settle(reopen=False),)
    return issue, (ShutLane(),)

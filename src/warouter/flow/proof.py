"""Proves that webhooks reach us, so that silence about a message says something.

A message in doubt is sent again when its window has passed without a status. That is only right if
a status would have come: if listeners were away, or Meta's side is late, the status is still on its
way. One event that comes in proves nothing about older ones: Meta repeats a POST that failed later
than it sends new events. So three things are asked.

Rules of this file:
  * our own gaps count twice: a time in which a listener was away or refused, that ended after the
    doubt began, must be over for twice as long as it was. A gap that comes before that has passed
    may have hit the same repetitions, and is one with the former;
  * cohort: nearly all messages that were answered 200 just after the doubt began have a status.
    They go the way that our evidence would go, retries and tails included;
  * one event has a time of Meta's clock after the doubt began, and clearly after where there is no
    cohort. Who takes over a slot reads statuses that came in before: their messages are in the
    cohort, and prove nothing;
  * what was refused and may be a stranger's is none of Meta's once something rightly signed has
    followed. Until then it is a gap, but for its first 30 s: the cohort's were answered before.

What a row of ``cloud_path`` says of its webapp: it listened, and answered 200, from ``since`` until
``seen``. What came between two rows, or before a row, is concluded:
  * a time in which nobody listened is a gap;
  * one that died is a gap until another begins in its place, or until others have listened without
    a break for 30 s: by then nobody sends to it any more. One that left in order is none;
  * one that began after the doubt did, and in nobody's place, may have refused until then: a gap
    from the doubt's start. A webapp that was added looks the same, and costs no more than a wait.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from warouter.flow.windows import Windows

COHORT_SECONDS = 30.0
VAIN_SECONDS = 30.0  # in which what was refused is taken for a stranger's
LATER_SECONDS = 3.0  # by which an event must be later than the doubt
CLOCKS_SECONDS = 60.0  # by which our clock may be behind Meta's, where nobody knows
REPLACED_SECONDS = 30.0  # after which nobody sends to a webapp that died
TWICE = 2.0
SILENT_SECONDS = 5.0  # rows are touched every second; not scaled

_Span = tuple[float, float]  # seconds since the doubt began, negative before


class ProofState(Enum):
    """The proof that webhooks reach us, for one doubt, or what it lacks."""

    PROVEN = "proven"
    GAP = "gap"  # a listener of ours was away, not long enough ago
    BEHIND = "behind"  # messages of the cohort have no status yet
    IDLE = "idle"  # nothing came in


class Cohort(NamedTuple):
    """Messages of the number that were answered 200 within 30 s after the doubt began; where doubts
    share an answer, from the first of them until 30 s after the last.

    Held templates are left out. ``silent`` of them have no status at all.
    """

    answered: int
    silent: int


class ListenerAges(NamedTuple):
    """A row of ``cloud_path``, as ages in seconds by the database's clock.

    ``left``: it stopped in order; ``meta``: of the newest time that an event carried, negative if
    Meta's clock is ahead; ``vain``: the first that was refused and may be Meta's, where nothing
    rightly signed has come since.
    """

    since: float
    seen: float
    left: float | None = None
    meta: float | None = None
    vain: float | None = None


def way(
    age: float,
    cohort: Cohort,
    listeners: Sequence[ListenerAges],
    *,
    offset: float | None,
    windows: Windows,
    spread: float,
) -> ProofState:
    """Judge doubts that began ``age`` seconds ago, by the database's clock, or up to ``spread``
    later: PROVEN must hold for the first and for the last of them.

    ``offset`` is by how many seconds Meta's clock is ahead of the database's; None: unknown.
    """
    if age < _clear(_gaps(age, listeners, windows)):
        return ProofState.GAP
    complete = spread + windows.scaled(COHORT_SECONDS)
    if age < complete or cohort.silent > _tolerated(cohort.answered):
        return ProofState.BEHIND
    later = spread + (0.0 if cohort.answered else windows.scaled(LATER_SECONDS))
    return ProofState.PROVEN if _heard(age - later, listeners, offset, windows) else ProofState.IDLE


def _tolerated(answered: int) -> int:
    """One of 20, or 1 %, whichever is more; none of fewer."""
    return max(int(answered >= 20), answered // 100)


def _heard(
    age: float, listeners: Sequence[ListenerAges], offset: float | None, windows: Windows
) -> bool:
    """True if an event came in that was made within ``age`` seconds, by Meta's clock."""
    ahead = windows.scaled(CLOCKS_SECONDS) if offset is None else offset
    return any(row.meta is not None and age - row.meta >= ahead for row in listeners)


def _clear(gaps: list[_Span]) -> float:
    """When the last gap is over for twice as long as it was."""
    clear, first = -math.inf, 0.0
    for begin, end in sorted(gaps):
        first = first if begin <= clear else begin
        clear = max(clear, end + TWICE * (end - first))
    return clear


def _gaps(age: float, listeners: Sequence[ListenerAges], windows: Windows) -> list[_Span]:
    """The times in which a listener was away, as far as they ended after the doubt began."""
    if not listeners:
        return [(0.0, math.inf)]
    heard = _covered(age, listeners)
    gaps = [(end, begin) for (_, end), (begin, _) in pairwise(heard)]
    if heard[-1][1] < age:
        gaps.append((heard[-1][1], math.inf))
    begins = sorted(age - row.since for row in listeners)
    for row in sorted(listeners, key=lambda row: -row.seen):
        if _listens(row):
            continue
        gone = age - row.seen
        replaced = _replaced(gone, heard, windows.scaled(REPLACED_SECONDS))
        again = next((at for at in begins if gone < at <= replaced), math.inf)
        if again < math.inf:
            begins.remove(again)
        if row.left is None:
            gaps.append((gone, min(again, replaced)))
    gaps += [(0.0, at) for at in begins]
    for row in listeners:
        if row.vain is not None and row.vain > windows.scaled(VAIN_SECONDS):
            gaps.append((age - row.vain, math.inf if _listens(row) else age - row.seen))
    return [gap for gap in gaps if gap[1] > 0.0]


def _covered(age: float, listeners: Sequence[ListenerAges]) -> list[_Span]:
    """The times in which at least one webapp listened, in order and apart from each other."""
    spans: list[_Span] = []
    for row in sorted(listeners, key=lambda row: -row.since):
        begin, end = age - row.since, age if _listens(row) else age - row.seen
        if spans and begin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((begin, end))
    return spans


def _listens(row: ListenerAges) -> bool:
    return row.left is None and row.seen <= SILENT_SECONDS


def _replaced(died: float, heard: list[_Span], seconds: float) -> float:
    """When others have listened for so long without a break, since one died."""
    for begin, end in heard:
        if end - max(begin, died) >= seconds:
            return max(begin, died) + seconds
    return math.inf

"""What the Cloud door's record has to show: each request, when it was taken, when that was told.

Pure. A message may be taken twice only where the campaign itself kept its evidence from the
business for longer than the window: nobody could know. All else is held against the promises of
docs/architecture.md.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from tests.campaigns.chaos.doors.doubts import Doubt
from tests.campaigns.chaos.marks import Mark
from tests.harness.history import Sends

# From the look for evidence, in the commit that issues an attempt, to the first byte of its request
# at the other side: an owner may have stood still in between.
LOOK_SECONDS = 1.0
ROUND_SECONDS = 0.05  # clocks of two processes, and what a tick rounds
AROUND_SECONDS = 1.0  # statuses are told so long before and after a fault that keeps them back
PLANNED = frozenset(
    {
        "set-shards",
        "set-shards-1-to-32",
        "set-shards-twenty-at-once",
        "scale-up-and-down",
        "join-doubled-up",
        "rolling-restart",
        "stop-owner",
        "stop-two-coreapps",
        "power-off-machine",
    }
)


class Request(msgspec.Struct, gc=False, kw_only=True):
    """One request of the record; times are monotonic seconds."""

    id: str
    attempt: int
    recipient: str
    begun: float
    accepted: float | None
    outcome: str = "answered"
    told: float | None = None  # the business acknowledged a status of it


class Whole(msgspec.Struct):
    """Of ``GET /record?requests=1``."""

    requests: list[Request]
    inversions: int
    inverted: list[str]  # the first thousand of them
    begun_again_open: int
    same_reference: int


class Twice(NamedTuple):
    """Ids that were taken more than once: where nobody could know, and what is wrong."""

    excused: set[str]
    wrong: list[str]


def overtaken(whole: Whole, acknowledged: Container[str]) -> int:
    """How many messages came after one to the same recipient that was made later.

    What the API answered with 503, outcome unknown, has no place: its client went on, and the row
    may have been written behind what came next.
    """
    if whole.inversions > len(whole.inverted):  # too many to name them all
        return whole.inversions
    return sum(i in acknowledged for i in whole.inverted)


def first_taken(requests: Iterable[Request]) -> dict[str, list[str]]:
    """The ids per recipient in the order of their first acceptance."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for request in _taken(requests):
        found[request.recipient].setdefault(request.id)
    return {recipient: list(ids) for recipient, ids in found.items()}


def twice(
    requests: Iterable[Request],
    marks: Sequence[Mark],
    window: float,
    cautious: set[str],
) -> Twice:
    """``window``: what an ordinary message in doubt waits, in seconds. ``cautious`` ids are never
    to be sent again.
    """
    by_id: dict[str, list[Request]] = defaultdict(list)
    for request in _taken(requests):
        by_id[request.id].append(request)
    excused: set[str] = set()
    wrong: list[str] = []
    for message_id, taken in by_id.items():
        for earlier, later in pairwise(taken):
            why = _why(earlier, later, marks, window)
            if message_id in cautious:
                why = "and was never to be sent again"
            if why:
                wrong.append(f"{message_id} was taken twice {why}")
            else:
                excused.add(message_id)
    return Twice(excused, wrong)


def _why(earlier: Request, later: Request, marks: Sequence[Mark], window: float) -> str:
    """What makes it wrong, "" if nothing does."""
    if later.attempt <= earlier.attempt:
        return f"as attempts {earlier.attempt} and {later.attempt}"
    if later.begun - earlier.begun < window - ROUND_SECONDS:
        return f"within {later.begun - earlier.begun:.1f} s, before its window was over"
    if earlier.told is not None and earlier.told < later.begun - LOOK_SECONDS:
        return f"{later.begun - earlier.told:.1f} s after a status of it was acknowledged"
    if not any(_kept_back(earlier, mark) for mark in marks):
        late = "never" if earlier.told is None else f"{earlier.told - earlier.begun:.1f} s later"
        return f"though nothing kept its statuses back (the first came {late})"
    return ""


def _kept_back(request: Request, mark: Mark) -> bool:
    assert request.accepted is not None
    begin, end = mark.at - AROUND_SECONDS, mark.healed + AROUND_SECONDS
    return mark.delays and begin <= request.accepted <= end


def protocol(whole: Whole) -> Iterator[str]:
    """No attempt is sent while the one before it may be open, or again."""
    if whole.begun_again_open:
        yield f"{whole.begun_again_open} references were begun again while they might be open"
    if whole.same_reference:
        yield f"{whole.same_reference} references were taken more than once"


def attempts_in_order(requests: Iterable[Request]) -> list[str]:
    """A message's next attempt never begins before the last one."""
    last: dict[str, int] = {}
    wrong = []
    for request in sorted(requests, key=lambda r: r.begun):
        if request.attempt < last.get(request.id, 0):
            wrong.append(f"{request.id}: attempt {request.attempt} after {last[request.id]}")
        last[request.id] = max(request.attempt, last.get(request.id, 0))
    return wrong


def unlogged(excused: set[str], logged: Container[str]) -> list[str]:
    """Each message that was taken twice is a line of an owner's log."""
    missing = [i for i in sorted(excused) if i not in logged]
    return [f"{len(missing)} taken twice are in no log, as {missing[0]}"] if missing else []


def doubts_of_moves(doubts: Sequence[Doubt], marks: Sequence[Mark]) -> list[str]:
    """A planned move leaves nothing in doubt."""
    wrong = []
    for mark in marks:
        end = mark.wall + ((mark.recovered or mark.healed) - mark.at)
        found = [d for d in doubts if mark.wall <= d.wall <= end]
        if found and mark.kind in PLANNED:
            causes = sorted({doubt.cause for doubt in found})
            wrong.append(f"{mark.kind} put {len(found)} messages in doubt: {', '.join(causes)}")
    return wrong


def dated(sends: Sends, log: Sequence[Mapping[str, Any]], ahead: float) -> None:
    """Give each arrival the epoch that its slot had; ``ahead``: the wall clock's of the monotonic
    one. The door knows none.
    """
    since: dict[int, list[float]] = defaultdict(list)
    epochs: dict[int, list[int]] = defaultdict(list)
    for row in log:
        since[row["slot"]].append(row["wall"] - ahead)
        epochs[row["slot"]].append(row["epoch"])
    for n, (at, slot) in enumerate(zip(sends.at, sends.slot, strict=True)):
        place = bisect_right(since[slot], at)
        sends.epoch[n] = epochs[slot][place - 1] if place else 0


def _taken(requests: Iterable[Request]) -> list[Request]:
    return sorted(
        (request for request in requests if request.accepted is not None),
        key=lambda request: request.accepted or 0.0,
    )

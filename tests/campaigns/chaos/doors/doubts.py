"""The figures of messages in doubt: how many, why, what ended them, how long they waited. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, NamedTuple

# What ends a doubt, as the specification's section 7.3.5 names the ways.
ENDS = {
    "status": "a status",
    "lane": "b lane",
    "answer": "c answer",
    "resend": "d resend",
    "fail": "d fail",
    "hold": "d hold",
    "operator": "operator",
}
HELD = 3  # of send_issue.state


class Doubt(NamedTuple):
    """A message came to be in doubt, or ended to be; ``wall`` is Unix time."""

    wall: float
    id: str
    cause: str


def figures(
    begun: Sequence[Doubt],
    ended: Sequence[Doubt],
    became: Iterable[int | None],
    said: Iterable[Any],
) -> dict[str, Any]:
    """``became``: the states of the rows of ``ended``; ``said``: lines of the owners' logs.

    An owner that is killed between a decision and its commit has said it, and the next one says it
    again: what was said may be a little more than what the database saw.
    """
    seconds = waits(begun, ended)
    return {
        "in_doubt": dict(Counter(doubt.cause for doubt in begun)),
        "ended": dict(Counter(_end(state) for state in became)),
        "ended_by": dict(Counter(ENDS.get(line["by"], line["by"]) for line in said)),
        "wait_s_p50": _rank(seconds, 0.5),
        "wait_s_p99": _rank(seconds, 0.99),
        "wait_s_max": _rank(seconds, 1.0),
    }


def waits(begun: Sequence[Doubt], ended: Sequence[Doubt]) -> list[float]:
    """Seconds from each doubt's beginning to its end, in order."""
    events = sorted([(d.wall, True, d.id) for d in begun] + [(d.wall, False, d.id) for d in ended])
    since: dict[str, float] = {}
    found = []
    for wall, begins, message_id in events:
        if begins:
            since.setdefault(message_id, wall)
        elif message_id in since:
            found.append(wall - since.pop(message_id))
    return sorted(found)


def _end(became: int | None) -> str:
    return "settled" if became is None else "held" if became == HELD else "sent again"


def _rank(ordered: Sequence[float], share: float) -> float:
    """The nearest rank; 0 of nothing."""
    return round(ordered[max(0, ceil(share * len(ordered)) - 1)], 1) if ordered else 0.0

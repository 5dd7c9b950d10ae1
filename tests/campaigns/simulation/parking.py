"""What is parked of one journal, as ``record_parked_messages`` and ``_events`` leave it.

Of each lane (recipient) the first row says when to look at it; pages of lanes go by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Parked(NamedTuple):
    """A row of parked_message or parked_event."""

    row: Any
    attempts: int
    due: float
    first: float
    since: float  # when it was parked last: the beginning of its wait
    reason: str = ""
    look: float | None = None  # look_at


def park(parked: dict[int, Parked], rows: Mapping[int, Any], p: dict[str, Any], now: float) -> None:
    """Once more what is parked already, else a copy of the journal's row."""
    seq, due = p["seq"], now + p["delay_ms"] / 1000
    was = parked.get(seq)
    if was is not None:
        parked[seq] = was._replace(attempts=p["attempts"], due=due, since=now, reason=p["reason"])
    elif seq in rows:
        parked[seq] = Parked(rows[seq], p["attempts"], due, now, now, p["reason"])


def recipients(parked: Mapping[int, Parked], seqs: Iterable[int]) -> list[str]:
    """Those of the rows, each once and in order."""
    return list(dict.fromkeys(parked[seq].row.recipient for seq in seqs if seq in parked))


def lead(
    parked: dict[int, Parked],
    lanes: Iterable[str],
    now: float,
    ends: Mapping[int, float | None] | None = None,
) -> None:
    """The first row of each lane gets its time; ``ends``: when rows end, in seconds from now."""
    for lane in lanes:
        head = min((seq for seq, p in parked.items() if p.row.recipient == lane), default=None)
        if head is None:
            continue
        first = parked[head]
        if first.look is None or first.since == now:
            after = (ends or {}).get(head)
            look = first.due if after is None else min(first.due, now + after)
            parked[head] = first._replace(look=look)


def looked_at(parked: Mapping[int, Parked]) -> list[int]:
    """The seqs of the rows that say when to look at them, the earliest first."""
    found = [(p.look, seq) for seq, p in parked.items() if p.look is not None]
    return [seq for _, seq in sorted(found)]


def mend(parked: dict[int, Parked], now: float, limit: int) -> int:
    """What was parked in the future waits from now on; how many rows."""
    late = [(seq, p) for seq, p in parked.items() if p.look is not None and p.since > now]
    late.sort(key=lambda item: item[1].since)
    for seq, p in late[:limit]:
        ahead = p.since - now
        assert p.look is not None
        parked[seq] = p._replace(due=p.due - ahead, look=p.look - ahead, since=now)
    return len(late[:limit])

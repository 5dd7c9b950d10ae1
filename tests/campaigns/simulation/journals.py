"""The journals: rows by seq, what of them is settled, and what is parked.

Of each parked lane (number and recipient) the first row says when to look at it; pages of lanes go
by that.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from warouter.flow.lane_key import lane_of


class Refused(Exception):
    """A statement fails; ``state`` is its SQLSTATE."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Message(NamedTuple):
    """A row of the journal of messages."""

    seq: int
    id: bytes
    recipient: str
    kind: int
    body: bytes
    ttl: int | None
    accepted: float
    number: int = 1
    aside: bool = False

    @property
    def lane(self) -> str:
        return lane_of(self.number, self.recipient)


class Event(NamedTuple):
    """A row of the journal of events."""

    seq: int
    kind: int
    key: str
    recipient: str
    payload: bytes
    contact: bytes | None
    number: int = 1
    aside: bool = False

    @property
    def lane(self) -> str:
        return lane_of(self.number, self.recipient)


class Parked(NamedTuple):
    """A row of parked_message or parked_event: it points to the journal's row of its seq."""

    seq: int
    recipient: str
    attempts: int
    due: float
    first: float
    since: float  # when it was parked last: the beginning of its wait
    reason: str = ""
    look: float | None = None  # look_at
    number: int = 1

    @property
    def lane(self) -> str:
        return lane_of(self.number, self.recipient)


class Journal:
    """Rows by seq, ascending; a page of them."""

    def __init__(self) -> None:
        self.rows: dict[int, Any] = {}
        self.seqs: list[int] = []
        self.mark = 0
        self.ranges: list[int] = []
        self.parked: dict[int, Parked] = {}
        self.pruned: dict[int, Any] = {}  # rows that retention took

    def free(self, seq: int, others: Iterable[bool]) -> None:
        """A new row's place is free, or the statement fails before it has changed anything."""
        if seq in self.rows or any(others):
            raise Refused("23505")

    def add(self, row: Any) -> None:
        self.rows[row.seq] = row
        self.seqs.append(row.seq)
        if len(self.seqs) > 1 and self.seqs[-2] > row.seq:
            self.seqs.sort()

    def page(self, after: int, upto: int, limit: int) -> list[Any]:
        low, high = bisect_right(self.seqs, after), bisect_right(self.seqs, upto)
        return [self.rows[seq] for seq in self.seqs[low : min(high, low + limit)]]

    def next_seq(self) -> int:
        tops = [self.mark, *self.ranges, *self.seqs[-1:]]
        return 1 + max(tops)

    def settle(self, mark: int, ranges: str) -> None:
        """``ranges`` as the text of an array."""
        self.mark = mark
        self.ranges = [int(word) for word in ranges[1:-1].split(",") if word]

    def settled(self, seq: int) -> bool:
        pairs = zip(self.ranges[::2], self.ranges[1::2], strict=True)
        return seq <= self.mark or any(low <= seq <= high for low, high in pairs)

    def prune(self, gone: Iterable[int]) -> None:
        """Delete these rows."""
        for seq in gone:
            self.pruned[seq] = self.rows.pop(seq)
            self.seqs.remove(seq)

    # what is parked, as record_parked_messages and _events leave it

    def record(self, rows: list[dict[str, Any]], gone: list[dict[str, Any]], now: float) -> None:
        """These are parked, and those no more."""
        for p in rows:
            self.park(p, now)
        touched = [p["seq"] for p in (*rows, *gone) if p["seq"] in self.parked]
        lanes = dict.fromkeys(self.parked[seq].lane for seq in touched)
        for p in gone:
            self.parked.pop(p["seq"], None)
        ends = {p["seq"]: p["ends_ms"] / 1000 for p in rows if p.get("ends_ms") is not None}
        self.lead(lanes, now, ends)

    def park(self, p: dict[str, Any], now: float) -> None:
        """Once more what is parked already, else what is in the journal."""
        delay = math.inf if p["delay_ms"] is None else p["delay_ms"] / 1000
        seq, due = p["seq"], now + delay
        attempts, reason = p["attempts"], p["reason"]
        was = self.parked.get(seq)
        if was is not None:
            self.parked[seq] = was._replace(attempts=attempts, due=due, since=now, reason=reason)
        elif seq in self.rows:
            row = self.rows[seq]
            place = seq, row.recipient, attempts, due, now, now, reason
            self.parked[seq] = Parked(*place, number=row.number)

    def reopen(self, lane: str, now: float) -> None:
        """The first parked row of this lane is due now."""
        for first in self.lane(lane)[:1]:
            self.parked[first.seq] = first._replace(due=now, look=now)

    def lead(self, lanes: Iterable[str], now: float, ends: Mapping[int, float]) -> None:
        """The first row of each lane gets its time; ``ends``: when rows end, seconds from now."""
        for lane in lanes:
            seqs = (seq for seq, p in self.parked.items() if p.lane == lane)
            head = min(seqs, default=None)
            if head is None:
                continue
            first = self.parked[head]
            if first.look is None or first.since == now:
                look = min(first.due, now + ends[head]) if head in ends else first.due
                self.parked[head] = first._replace(look=look)

    def lane(self, lane: str) -> list[Parked]:
        """The parked rows of one lane, the first one first."""
        return [p for _, p in sorted(self.parked.items()) if p.lane == lane]

    def waiting(self) -> Iterator[tuple[Parked, Any]]:
        """What is parked, each with its row; without retention's rule that might be gone."""
        return ((p, self.rows[seq]) for seq, p in self.parked.items() if seq in self.rows)

    def looked_at(self) -> list[int]:
        """The seqs of the rows that say when to look at them, the earliest first."""
        found = [(p.look, seq) for seq, p in self.parked.items() if p.look is not None]
        return [seq for _, seq in sorted(found)]

    def mend(self, now: float, limit: int) -> int:
        """What was parked in the future waits from now on; how many rows."""
        late = [
            (p.since, seq) for seq, p in self.parked.items() if p.look is not None and p.since > now
        ]
        for since, seq in sorted(late)[:limit]:
            p, ahead = self.parked[seq], since - now
            assert p.look is not None
            self.parked[seq] = p._replace(due=p.due - ahead, look=p.look - ahead, since=now)
        return len(late[:limit])

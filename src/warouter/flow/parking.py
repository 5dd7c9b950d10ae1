"""Lanes of a slot with messages (or events of one kind) in the parked table, by their keys.

Rules of this file:
  * so many are in memory at most, those that are to be looked at first; ``beyond`` says that the
    table has others;
  * who is here is blocked in its lane; who is not is looked for in the table, as long as some are
    beyond, before anything of it is sent: nothing may overtake what is parked;
  * what an operator hurries is due at once: who is here, and who is found later and was parked by
    then; what fails once more waits as ever;
  * one of whom a message is in doubt is shut: it is due once it is reopened, here and in the table;
  * one is let go from memory only when all that is known of it is on disk and nothing of it is out,
    and a page of the journal that was being read meanwhile is read again.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from enum import Enum
from typing import Any

MAX_PARKED = 1_000  # recipients in memory; one process may own all 32 slots
PAGE_LANES = 100  # recipients that one reading of the table brings
LOOK_SECONDS = 5.0  # after so long the table is looked at for those beyond, whatever was seen


class LaneState(Enum):
    """The state of a parked recipient's rows."""

    WAITING = "waiting"  # until its time has come
    READING = "reading"  # its first rows are read from the table
    FLYING = "flying"  # they are out


class ParkedLane:
    """A lane with messages (or events) in the parked table. Times are the caller's seconds.

    ``due`` is when they are to be tried, ``ends`` when the first of them is not to be sent any
    more. ``more`` says that the table may hold rows beyond those that are out.
    """

    __slots__ = ("due", "ended", "ends", "flying", "more", "noted", "state")

    def __init__(self, due: float, ends: float = math.inf) -> None:
        self.due = due
        self.ends = ends
        self.ended = ends  # as it was before its rows were read
        self.more = True
        self.state = LaneState.WAITING
        self.flying = 0  # how many of its rows are out
        self.noted = 0  # the number of the record that has all that is known of it

    @property
    def look(self) -> float:
        """When the lane is due to be looked at."""
        return min(self.due, self.ends)

    def waits_at(self, now: float) -> bool:
        """True if nothing of it is out, and it is due to be looked at. Asked for a thousand lanes
        of each slot, five times a second.
        """
        return (self.due <= now or self.ends <= now) and self.state is LaneState.WAITING

    @property
    def waiting(self) -> bool:
        return self.state is LaneState.WAITING

    @property
    def shut(self) -> bool:
        """True while a message of it is in doubt."""
        return self.due == math.inf

    @property
    def empty(self) -> bool:
        """True if nothing of the lane is out, in doubt, or left in the table."""
        return self.waiting and not self.shut and not self.more

    def read_begins(self) -> None:
        """Note that its first rows are read; rows that are parked from now on count as ``more``."""
        self.state, self.ended, self.more = LaneState.READING, self.ends, False
        self.ends = math.inf

    def read_failed(self) -> None:
        """Note that the rows could not be read: everything is as it was."""
        self.state, self.ends, self.more = LaneState.WAITING, min(self.ends, self.ended), True

    def read_ended(self, taken: int, *, more: bool, ends: float = math.inf) -> None:
        """``taken`` rows go out; ``more`` are left, of which the first ends at ``ends``."""
        self.state = LaneState.FLYING if taken else LaneState.WAITING
        self.flying = taken
        self.more = self.more or more
        self.ends = min(self.ends, ends)

    def landed(self) -> bool:
        """A row that was out is settled or parked again. True: it was the last one."""
        if self.state is not LaneState.FLYING:
            return False
        self.flying -= 1
        if self.flying:
            return False
        self.state = LaneState.WAITING
        return True


class Parking(dict[str, ParkedLane]):
    """The parked lanes in memory, by the key of each (``flow.lane_key``)."""

    def __init__(self) -> None:
        super().__init__()
        self.beyond = False
        self.let_go = 0  # how often some were
        self._next_look = -math.inf
        self._hurried = -math.inf

    @property
    def page(self) -> int:
        """Number of rows to read, so that some are new."""
        return len(self) + PAGE_LANES

    def is_read(self, key: str) -> bool:
        """True while rows of the lane are being read, or are out."""
        lane = self.get(key)
        return lane is not None and not lane.waiting

    @property
    def flying(self) -> int:
        """How many parked rows are out."""
        return sum(lane.flying for lane in self.values())

    def park(
        self,
        key: str,
        due: float,
        record: int,
        *,
        was_out: bool,
        ends: float = math.inf,
    ) -> None:
        """One more row of this lane lies in the table with record number ``record``.

        ``was_out``: it had been taken up from there and comes back.
        """
        lane = self.get(key)
        if lane is None:
            lane = self[key] = ParkedLane(0.0)
        lane.due = max(lane.due, due)
        lane.ends = min(lane.ends, ends)
        lane.more = True
        lane.noted = record
        if was_out:
            lane.landed()

    def shut(self, key: str, now: float) -> None:
        """A message of this lane is in doubt: nothing behind it goes before that has ended."""
        lane = self.get(key)
        if lane is None:
            lane = self[key] = ParkedLane(now)
        lane.due = math.inf

    def reopen(self, key: str, now: float, record: int) -> None:
        """A doubt of this lane has ended, or is waited for no longer; ``record`` has it."""
        lane = self.get(key)
        if lane is None:
            lane = self[key] = ParkedLane(now)
        lane.due = now
        lane.noted = record
        lane.more = True

    def found(self, row: Any, now: float) -> bool:
        """The table has this lane, see ``Journal.parked``; False if it was known already."""
        if row["lane"] in self:
            return False
        ends = math.inf if row["ends_in"] is None else now + row["ends_in"]
        hurried = now - row["parked_for"] <= self._hurried
        self[row["lane"]] = ParkedLane(now if hurried else now + row["due_in"], ends)
        return True

    def hurry(self, now: float) -> None:
        """All that is parked by now is due at once: that of lanes beyond when they are read."""
        self._hurried = self._next_look = now
        for lane in self.values():
            lane.due = min(lane.due, now)

    def read(self, rows: Sequence[Any], now: float) -> list[str]:
        """Add a page of rows; returns the lanes that are new here."""
        new = [row["lane"] for row in rows if self.found(row, now)]
        full = any(row["full"] for row in rows)
        looks = [self[row["lane"]].look for row in rows]
        self.beyond = full
        self._next_look = min(max(looks) if full else math.inf, now + LOOK_SECONDS)
        return new

    def wants(self, now: float) -> bool:
        """True if the table is worth reading: more may be due, and there is room."""
        return self.beyond and now >= self._next_look and len(self) < MAX_PARKED

    def surplus(self, now: float, recorded: int) -> list[str]:
        """Forget lanes beyond the limit; returns their keys.

        Those that are looked at last. If somebody beyond may be due, half of the places are for
        whoever is due.
        """
        crowded = self.beyond and now >= self._next_look and len(self) <= MAX_PARKED
        excess = len(self) - (MAX_PARKED // 2 if crowded else MAX_PARKED)
        if excess <= 0:
            return []
        idle = [
            (lane.look, key)
            for key, lane in self.items()
            if lane.waiting and lane.noted <= recorded and (not crowded or lane.look > now)
        ]
        chosen = heapq.nlargest(excess, idle)
        if not chosen:
            return []
        for _, key in chosen:
            del self[key]
        self.let_go += 1
        self.beyond = True
        self._next_look = min(self._next_look, chosen[-1][0])
        return [key for _, key in chosen]

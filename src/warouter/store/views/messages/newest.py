"""Many lists, each read from its newest row down, as one list with the newest first. Pure.

A row has a ``RowPlace`` in the one order of all rows, and lies in the lane of its way and slot.
Each lane is read a piece at a time; whatever is above the frontier, which is the lowest place down
to which every lane has been read, cannot get a row in between any more. A place is the cursor too:
to go on is to read every lane from below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from warouter._hash import SLOTS
from warouter.message_id import RANDOM_SIZE, SIZE, mint, parse, slot_of_id, text_of

INBOUND, OUTGOING = 0, 1  # ways
MOST_MS = (1 << 48) - 1  # an id has 6 bytes for it
_INBOUND = re.compile(r"(\d{1,15})\.(\d{1,2})\.(\d{1,18})")
_ZEROS = bytes(RANDOM_SIZE)

Row = TypeVar("Row")


class SearchLane(NamedTuple):
    """The rows of one way in one slot."""

    way: int
    slot: int


class RowPlace(NamedTuple):
    """Where a row stands: by its time first, then in an order that is no more than definite.

    ``rest`` is the id of an outgoing message, and the number of an inbound one in its journal.
    """

    ms: int
    way: int
    slot: int
    rest: bytes | int

    @property
    def lane(self) -> SearchLane:
        return SearchLane(self.way, self.slot)

    @property
    def text(self) -> str:
        """The place as a URL has it."""
        if isinstance(self.rest, bytes):
            return text_of(self.rest)
        return f"{self.ms}.{self.slot}.{self.rest}"


def place_of_id(message_id: bytes) -> RowPlace:
    """The place of an outgoing message: its id has the time and the slot."""
    return RowPlace(
        int.from_bytes(message_id[2:8], "big"), OUTGOING, slot_of_id(message_id), message_id
    )


def place_of(text: str) -> RowPlace:
    """The place that a URL names; raises ValueError with a sentence."""
    found = _INBOUND.fullmatch(text)
    if found is not None:
        ms, slot, seq = map(int, found.groups())
        if ms <= MOST_MS and slot < SLOTS:
            return RowPlace(ms, INBOUND, slot, seq)
    else:
        try:
            message_id = parse(text)
        except ValueError:
            message_id = b""
        if len(message_id) == SIZE and slot_of_id(message_id) < SLOTS:
            return place_of_id(message_id)
    raise ValueError(f"{text[:64]!r} is no place in the list: begin again with the newest.")


def before_ms(lane: SearchLane, place: RowPlace) -> int:
    """The rows of another lane below this place are those made before this millisecond."""
    return place.ms + 1 if lane < place.lane else place.ms


def id_below(lane: SearchLane, place: RowPlace) -> bytes:
    """The outgoing messages of the lane below this place have ids below this one."""
    if isinstance(place.rest, bytes) and lane == place.lane:
        return place.rest
    return least_id(lane.slot, before_ms(lane, place))


def least_id(slot: int, ms: int) -> bytes:
    """No id of the slot made in this millisecond or later is below this one."""
    return mint(slot, min(max(ms, 0), MOST_MS), _ZEROS)


class Newest(Generic[Row]):
    """Rows that were found, and how far each lane has been read.

    Where times run backwards within a lane (the database's clock was set back), its order counts,
    and not the times.
    """

    def __init__(self, lanes: Iterable[SearchLane]) -> None:
        # Of the lanes with more; None: nothing of it was read.
        self._down_to: dict[SearchLane, RowPlace | None] = dict.fromkeys(lanes)
        self._found: list[tuple[RowPlace, Row]] = []

    @property
    def more(self) -> bool:
        """True while a lane has rows that nobody has looked at."""
        return bool(self._down_to)

    def take(
        self, lane: SearchLane, rows: Iterable[tuple[RowPlace, Row]], down_to: RowPlace | None
    ) -> None:
        """Take a piece of a lane, in its order: what was found in it, and its last row, found or
        not; None: the lane has no more.
        """
        lowest = self._down_to[lane]
        for place, row in rows:
            lowest = _not_above(place, lowest)
            self._found.append((lowest, row))
        if down_to is None:
            del self._down_to[lane]
        else:
            self._down_to[lane] = _not_above(down_to, lowest)

    @property
    def begun(self) -> bool:
        """True once something of every lane was read, so that there is a frontier."""
        return None not in self._down_to.values()

    def next_lanes(self) -> list[tuple[SearchLane, RowPlace | None]]:
        """The lanes to read on, and from where: those that hold the others up."""
        if not self.begun:
            return [(lane, place) for lane, place in self._down_to.items() if place is None]
        read = [(place, lane) for lane, place in self._down_to.items() if place is not None]
        read.sort(reverse=True)
        return [(lane, place) for place, lane in read[: (len(read) + 1) // 2]]

    def certain(self) -> list[tuple[RowPlace, Row]]:
        """The rows above the frontier, the newest first."""
        if not self.begun:
            return []
        frontier = self.frontier
        found = sorted(self._found, key=lambda each: each[0], reverse=True)
        return found if frontier is None else [each for each in found if each[0] >= frontier]

    @property
    def frontier(self) -> RowPlace | None:
        """The place down to which every lane has been read; None: to their ends, or not at all."""
        return max((place for place in self._down_to.values() if place is not None), default=None)


def _not_above(place: RowPlace, before: RowPlace | None) -> RowPlace:
    """The place with a time that is not above that of the row before it in its lane."""
    if before is None or place.ms <= before.ms:
        return place
    return place._replace(ms=before.ms)

"""The search for messages: the newest that match, as far as a bounded look at the journals goes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from warouter._hash import SLOTS, slot_of
from warouter.message_id import parse
from warouter.store.database import Taken
from warouter.store.views.messages.found import (
    LOOKED_AT,
    SECONDS,
    FoundMessage,
    MessageListing,
    Piece,
    Search,
    iso,
)
from warouter.store.views.messages.inbound import InboundSearch
from warouter.store.views.messages.newest import (
    MOST_MS,
    OUTGOING,
    Newest,
    RowPlace,
    SearchLane,
    place_of_id,
)
from warouter.store.views.messages.outgoing import OutgoingSearch
from warouter.store.views.messages.rate import read_rate
from warouter.store.views.messages.shown import read_shown
from warouter.store.views.trace import Trace

# The plans of these statements go by the primary keys and the index of ids, whatever the server
# has counted; they are too short to be compiled.
_PLANS = "set local enable_seqscan = off; set local enable_bitmapscan = off; set local jit = off"
_SPARE = 8  # rows of a lane beyond its share of the first piece
_GROWTH = 4
_QUICK = 0.1  # seconds: after a piece that took less, the next is larger
_LARGEST = 10_000  # rows of all lanes in one piece


async def read_messages(
    connection: Taken, search: Search, looked_at: int = LOOKED_AT, seconds: float = SECONDS
) -> MessageListing:
    """The newest messages that match, in one snapshot."""
    if search.message_id:
        return await _by_id(connection, search)
    async with snapshot(connection):
        shards = int(await connection.fetchval("select shards from shard_map"))
        found = await _SearchReading(connection, search, shards, looked_at, seconds).listed()
        if search.older is not None:
            return found
        return msgspec.structs.replace(found, rate=await read_rate(connection))


@asynccontextmanager
async def snapshot(connection: Taken) -> AsyncIterator[None]:
    """One state of the database, whose statements take the plans that suit them."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_PLANS)
        yield


class _SearchReading:
    """One search, from its first piece to what is shown."""

    def __init__(
        self, connection: Taken, search: Search, shards: int, looked_at: int, seconds: float
    ) -> None:
        start = _start(search)
        self._search = search
        self._shards = shards
        self._outgoing = OutgoingSearch(connection, search, start)
        self._inbound = InboundSearch(connection, search, start, shards)
        self._left = looked_at
        self._most = looked_at
        self._end = time.monotonic() + seconds

    async def listed(self) -> MessageListing:
        search, slots = self._search, _slots(self._search)
        lanes: list[SearchLane] = []
        if search.outgoing:
            lanes += await self._outgoing.lanes(slots)
        if search.inbound:
            lanes += await self._inbound.lanes(slots)
        newest: Newest[FoundMessage | None] = Newest(lanes)
        await self._read(newest)
        certain = newest.certain()
        rows = certain[: search.limit]
        older = down_to = None
        if len(certain) > search.limit or (len(rows) == search.limit and newest.more):
            older = rows[-1][0]
        elif newest.more:
            older = down_to = newest.frontier
        return MessageListing(
            messages=await self._shown(rows),
            looked_at=self._most - self._left,
            older=None if older is None else older.text,
            looked_down_to=None if down_to is None else iso(down_to.ms),
        )

    async def _read(self, newest: Newest[FoundMessage | None]) -> None:
        """Read on until enough is certain, or the bounds are reached."""
        limit = self._search.limit
        piece = limit // max(1, len(newest.next_lanes())) + _SPARE
        while newest.more and len(newest.certain()) <= limit:
            asked = newest.next_lanes()
            most = min(piece, max(_LARGEST, limit) // len(asked), self._left // len(asked))
            began = time.monotonic()
            if newest.begun and (most < 1 or began > self._end):
                return
            for part in await self._pieces(asked, max(most, 1)):
                self._left -= part.looked_at
                newest.take(part.lane, part.rows, part.down_to)
            if time.monotonic() - began < _QUICK:
                piece *= _GROWTH

    async def _pieces(
        self, asked: Sequence[tuple[SearchLane, RowPlace | None]], most: int
    ) -> list[Piece]:
        outgoing = [each for each in asked if each[0].way == OUTGOING]
        inbound = [each for each in asked if each[0].way != OUTGOING]
        return [
            *(await self._outgoing.read(outgoing, most) if outgoing else ()),
            *(await self._inbound.read(inbound, most) if inbound else ()),
        ]

    async def _shown(self, rows: list[tuple[RowPlace, FoundMessage | None]]) -> list[FoundMessage]:
        ids = [place.rest for place, _ in rows if isinstance(place.rest, bytes)]
        outgoing = await self._outgoing.shown(ids, self._shards) if ids else {}
        shown = (
            outgoing.get(place.rest) if isinstance(place.rest, bytes) else row
            for place, row in rows
        )
        return [each for each in shown if each is not None]


def _start(search: Search) -> RowPlace:
    """All rows that are looked for are below this place."""
    until = RowPlace(MOST_MS if search.until is None else max(search.until, 0), -1, -1, b"")
    return until if search.older is None else min(until, search.older)


def _slots(search: Search) -> list[int]:
    if not search.number:
        return list(range(SLOTS))
    return [slot_of(search.number)]


async def _by_id(connection: Taken, search: Search) -> MessageListing:
    """The one message with the id; other fields of the search do not matter."""
    trace = await read_shown(connection, search.message_id)
    return MessageListing(
        messages=[] if trace is None else [_of_trace(trace)], looked_at=int(bool(trace))
    )


def _of_trace(trace: Trace) -> FoundMessage:
    made = place_of_id(parse(trace.id)).ms if trace.direction == "outgoing" else None
    at = trace.steps[0].at if made is None else iso(made)
    return FoundMessage(
        id=trace.id,
        direction=trace.direction,
        kind="media" if trace.media else trace.kind,
        state=trace.state,
        recipient=trace.recipient,
        slot=trace.slot,
        shard=trace.shard,
        at=at or "",
        error=next((step.reason for step in trace.steps if step.reason), None),
    )

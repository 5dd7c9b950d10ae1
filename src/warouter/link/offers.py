"""Statuses that go to their owners straight from a webhook, instead of through the inbox.

The webapp's side: an offer waits for the owner's word that it is on disk. Whatever goes wrong
meanwhile, the caller stores what is left itself: an owner that did so as well finds a repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from uuid import UUID

from msgspec.structs import replace

from warouter.link import wire
from warouter.link.ways import Straight

OFFER_SECONDS = 1.0  # without an answer
# Statuses gather for so long, or until there are so many, since only Meta waits for them: an owner
# commits what it is offered at once, and a commit costs as much as dozens of them.
GATHER_SECONDS = 0.06
GATHER_STATUSES = 64
MOST_BYTES = 1 << 20  # of an offer's statuses, but for the last one


class _Waiting:
    """A caller: how many of its statuses are open, and which are on disk, by number and key."""

    __slots__ = ("open", "over", "stored")

    def __init__(self, statuses: int, loop: asyncio.AbstractEventLoop) -> None:
        self.open = statuses
        self.stored: set[tuple[int, str]] = set()
        self.over: asyncio.Future[None] = loop.create_future()

    def ended(self) -> None:
        """One of them is open no more."""
        self.open -= 1
        if not self.open and not self.over.done():
            self.over.set_result(None)


class _Offer:
    """Statuses that an owner was offered, each with its caller; it may answer ``until`` then."""

    __slots__ = ("size", "statuses", "until", "via")

    def __init__(self, via: UUID, until: float) -> None:
        self.via = via
        self.until = until
        self.size = 0  # bytes
        self.statuses: list[tuple[wire.OfferedStatus, _Waiting]] = []


class StatusOffers:
    """The offers of one webapp. ``way`` leads to the owner of a slot, if nothing is between."""

    def __init__(
        self, way: Callable[[int], Straight | None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._way = way
        self._loop = loop
        self._numbers = count(1)
        self._gathered: list[tuple[wire.OfferedStatus, _Waiting]] = []
        self._due: asyncio.TimerHandle | None = None  # when these are sent
        self._offers: dict[int, _Offer] = {}

    async def offer(self, statuses: Sequence[wire.OfferedStatus]) -> set[tuple[int, str]]:
        """Offer statuses to their owners, and wait; their epochs are set here. Returns those
        that are on disk, by number and key.
        """
        waiting = _Waiting(len(statuses), self._loop)
        self._gathered += [(status, waiting) for status in statuses]
        if len(self._gathered) >= GATHER_STATUSES:
            self._send()
        elif self._due is None:
            self._due = self._loop.call_later(GATHER_SECONDS, self._send)
        await waiting.over
        return waiting.stored

    def stored(self, outcome: wire.StatusOutcome) -> None:
        """An owner has answered."""
        offer = self._offers.pop(outcome.number, None)
        if offer is None:
            return  # it was too late
        left = set(outcome.left)
        for n, (status, waiting) in enumerate(offer.statuses):
            if n not in left:
                waiting.stored.add(status.unique)
            waiting.ended()

    def lost(self, via: UUID) -> None:
        """The link to an owner is gone."""
        self._end([number for number, offer in self._offers.items() if offer.via == via])

    def sweep(self, now: float) -> None:
        """Wait no longer for who had his time."""
        late = []
        for number, offer in self._offers.items():  # the oldest first
            if offer.until > now:
                break
            late.append(number)
        self._end(late)

    def _send(self) -> None:
        gathered, self._gathered = self._gathered, []
        if self._due is not None:
            self._due.cancel()
            self._due = None
        until = self._loop.time() + OFFER_SECONDS
        by_owner: dict[UUID, tuple[Straight, _Offer]] = {}
        for status, waiting in gathered:
            way = self._way(status.slot)
            if way is None:
                waiting.ended()
                continue
            _, offer = by_owner.setdefault(way.via, (way, _Offer(way.via, until)))
            offer.statuses.append((replace(status, epoch=way.epoch), waiting))
            offer.size += len(status.payload)
            if offer.size >= MOST_BYTES:
                self._send_to(*by_owner.pop(way.via))
        for way, offer in by_owner.values():
            self._send_to(way, offer)

    def _send_to(self, way: Straight, offer: _Offer) -> None:
        number = next(self._numbers)
        self._offers[number] = offer
        way.send(wire.statuses(wire.StatusOffer(number, [status for status, _ in offer.statuses])))

    def _end(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            for _, waiting in self._offers.pop(number).statuses:
                waiting.ended()

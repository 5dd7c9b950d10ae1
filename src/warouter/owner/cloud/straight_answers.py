"""Answers to webapps that have offered statuses: each once it is on disk, or will not be.

An offer is answered as a whole, when the last of its statuses is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import count
from typing import NamedTuple, Protocol

from warouter.flow.recent import RecentMessage
from warouter.link import wire
from warouter.owner.listener import SlotListener
from warouter.owner.slot import OwnedSlot


class OfferOrigin(Protocol):
    """The connection that an offer came by."""

    def send(self, frame: bytes) -> None: ...


class OpenOffer:
    """An offer, how many of its statuses are open, and the places of those that are left."""

    __slots__ = ("_left", "_number", "_open", "_webapp")

    def __init__(self, webapp: OfferOrigin, offer: wire.StatusOffer) -> None:
        self._webapp = webapp
        self._number = offer.number
        self._open = len(offer.statuses)
        self._left: list[int] = []

    def ended(self, place: int, *, stored: bool) -> None:
        """One of them is on disk, or is left to the webapp."""
        if not stored:
            self._left.append(place)
        self._open -= 1
        if not self._open:
            self._webapp.send(wire.stored(wire.StatusOutcome(self._number, self._left)))


class Place(NamedTuple):
    """A status of an offer, by its place there."""

    offer: OpenOffer
    place: int

    def ended(self, *, stored: bool) -> None:
        """It is on disk, or is left to the webapp."""
        self.offer.ended(self.place, stored=stored)


class StraightAnswers(SlotListener):
    """The statuses that are not on disk yet, of every open slot.

    Each event has a number below 0, as the numbers of rows of the inbox are above.
    """

    def __init__(self) -> None:
        self._numbers = count(-1, -1)
        self._events: defaultdict[int, dict[int, list[Place]]] = defaultdict(dict)  # by slot
        self._records: defaultdict[int, list[tuple[int, Place]]] = defaultdict(list)

    def next_number(self) -> int:
        """The number of another event."""
        return next(self._numbers)

    def wait(self, slot: OwnedSlot, number: int, place: Place) -> bool:
        """Answer once the event of this number is on disk; False if it does not wait."""
        waiting = self._events[slot.slot].get(number)
        if waiting is not None:
            waiting.append(place)
        return waiting is not None

    def wait_for_event(self, slot: OwnedSlot, number: int, place: Place) -> None:
        """Answer once a new event of this number is on disk."""
        self._events[slot.slot][number] = [place]

    def wait_for_record(self, slot: OwnedSlot, place: Place) -> None:
        """Answer once all that has moved in the slot is on disk."""
        if slot.last_record > slot.recorded:
            self._records[slot.slot].append((slot.last_record, place))
        else:
            self._end([place], stored=True)

    def is_open(self, slot: int, message: RecentMessage) -> bool:
        """True while an event of a message is not on disk."""
        return message.event in self._events[slot]

    def is_behind(self, slot: OwnedSlot, message_id: bytes | None) -> bool:
        """True if what the inbox has of a message comes behind such an event."""
        message = slot.recent.get(message_id or b"")
        return message is not None and self.is_open(slot.slot, message)

    def ack(self, slot: int, numbers: Iterable[int]) -> None:
        """Take these events as being on disk, or of no use to anybody."""
        events = self._events[slot]
        for number in numbers:
            self._end(events.pop(number, ()), stored=True)

    def recorded(self, slot: OwnedSlot) -> None:
        waiting = self._records.pop(slot.slot, ())
        if left := [each for each in waiting if each[0] > slot.recorded]:
            self._records[slot.slot] = left
        self._end([place for record, place in waiting if record <= slot.recorded], stored=True)

    def closed(self, slot: OwnedSlot) -> None:
        """Nobody knows if they are on disk: their webapps store them, for the next owner."""
        for places in self._events.pop(slot.slot, {}).values():
            self._end(places, stored=False)
        self._end([place for _, place in self._records.pop(slot.slot, ())], stored=False)

    def _end(self, places: Iterable[Place], *, stored: bool) -> None:
        for place in places:
            place.ended(stored=stored)
